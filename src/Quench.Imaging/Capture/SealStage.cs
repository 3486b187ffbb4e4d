using System.Threading.Channels;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>Compresses and encrypts what is new, on one lane for a core, each with a sealer of its own.</summary>
internal sealed class SealStage(BackupSession session, int lanes)
{
    /// <summary>Works until the input ends, then completes the output.</summary>
    public async Task RunAsync(ChannelReader<FreshChunk> input, ChannelWriter<SealedChunk> output, CancellationToken cancellationToken)
    {
        await TaskGroup.RunLanesAsync(lanes, token => SealAllAsync(input, output, token), cancellationToken);
        output.Complete();
    }

    private async Task SealAllAsync(
        ChannelReader<FreshChunk> input, ChannelWriter<SealedChunk> output, CancellationToken cancellationToken)
    {
        using ChunkSealer sealer = session.NewSealer();
        while (await input.WaitToReadAsync(cancellationToken))
        {
            while (input.TryRead(out FreshChunk fresh))
            {
                SealedChunk chunk = sealer.Seal(fresh.Id, fresh.Bytes.Span);
                fresh.Segment.LetGo();
                await HandOnAsync(chunk, output, cancellationToken);
            }
        }
    }

    private static async ValueTask HandOnAsync(SealedChunk chunk, ChannelWriter<SealedChunk> output, CancellationToken cancellationToken)
    {
        try
        {
            await output.WriteAsync(chunk, cancellationToken);
        }
        catch
        {
            chunk.Dispose();
            throw;
        }
    }
}
