using System.Threading.Channels;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Names each chunk of a segment: zeros become holes, the others get their id in the image, and those which the vault does not
/// have are compressed and encrypted. One lane for a core, each with a sealer of its own. A chunk is named and sealed by the same
/// lane, one after the other: its bytes are still in that core's cache, and hardly any time is left for memory to change them in between.
/// </summary>
internal sealed class SealStage(CapturePlan plan, BackupSession session, ImageWriter image, CaptureSettings settings)
{
    /// <summary>Works until the input ends, then completes the output.</summary>
    public async Task RunAsync(ChannelReader<Segment> input, ChannelWriter<SealedChunk> output, CancellationToken cancellationToken)
    {
        await TaskGroup.RunLanesAsync(settings.WorkLanes, token => SealAllAsync(input, output, token), cancellationToken);
        output.Complete();
    }

    private async Task SealAllAsync(ChannelReader<Segment> input, ChannelWriter<SealedChunk> output, CancellationToken cancellationToken)
    {
        using ChunkSealer sealer = session.NewSealer(settings.Compression);
        while (await input.WaitToReadAsync(cancellationToken))
        {
            while (input.TryRead(out Segment? segment))
            {
                plan.ZeroUnused(segment.Extent.Offset, segment.Bytes.Span);
                for (int offset = 0; offset < segment.Extent.Length; offset += plan.ChunkSize)
                {
                    if (TrySeal(segment, offset, sealer) is { } chunk)
                    {
                        await HandOnAsync(chunk, output, cancellationToken);
                    }
                }

                segment.LetGo();
            }
        }
    }

    /// <summary>Puts a chunk's name into the image.</summary>
    /// <returns>The chunk, sealed, when it must be stored; otherwise null.</returns>
    private SealedChunk? TrySeal(Segment segment, int offset, ChunkSealer sealer)
    {
        int length = (int)Math.Min(plan.ChunkSize, segment.Extent.Length - offset);
        ReadOnlySpan<byte> bytes = segment.Bytes.Span.Slice(offset, length);
        bool isHole = !bytes.ContainsAnyExcept((byte)0);
        ChunkName name = isHole ? default : session.Name(bytes);
        image.Set((segment.Extent.Offset + offset) / plan.ChunkSize, name.Id);
        return !isHole && session.TryClaim(name.Id) ? sealer.Seal(name, bytes) : null;
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
