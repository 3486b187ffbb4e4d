using Quench.Blocks;
using Quench.FileSystems.Ext4.Journal;

namespace Quench.FileSystems.Ext4;

/// <summary>Reads blocks of the file system as they are once its journal has been replayed.</summary>
/// <param name="volume">Lent.</param>
/// <param name="blockSize">Bytes.</param>
/// <param name="replay">What the journal puts in the place of blocks on disk; null when there is nothing to replay.</param>
internal sealed class MetadataReader(IBlockReader volume, int blockSize, ReplayedBlocks? replay)
{
    public int BlockSize => blockSize;

    /// <summary>Reads as many consecutive blocks as the buffer holds.</summary>
    public async ValueTask ReadAsync(long block, Memory<byte> into, CancellationToken cancellationToken)
    {
        await VolumeBytes.ReadAsync(volume, block * blockSize, into, cancellationToken);
        for (int at = 0; replay is not null && at < into.Length; at += blockSize)
        {
            if (replay.TryFind(block + (at / blockSize), out JournaledBlock found))
            {
                Memory<byte> place = into.Slice(at, blockSize);
                await VolumeBytes.ReadAsync(volume, found.StoredAt * blockSize, place, cancellationToken);
                found.Unescape(place.Span);
            }
        }
    }
}
