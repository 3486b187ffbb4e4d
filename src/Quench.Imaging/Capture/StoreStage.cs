using System.Threading.Channels;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>Hands sealed chunks to the vault, one after the other: it packs them in the order in which they come.</summary>
internal sealed class StoreStage(BackupSession session)
{
    /// <summary>Works until the input ends.</summary>
    public async Task RunAsync(ChannelReader<SealedChunk> input, CancellationToken cancellationToken)
    {
        while (await input.WaitToReadAsync(cancellationToken))
        {
            while (input.TryRead(out SealedChunk? chunk))
            {
                await session.AddAsync(chunk, cancellationToken);
            }
        }
    }
}
