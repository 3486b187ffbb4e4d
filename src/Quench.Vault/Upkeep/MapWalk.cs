using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault.Upkeep;

/// <summary>Walks a volume's map in the volume's order, telling what it meets. (§9.2)</summary>
internal sealed class MapWalk(ChunkReader chunks, VolumeRecord volume, int chunkSize)
{
    private readonly MapTree _tree = new((volume.Length / chunkSize) + (volume.Length % chunkSize == 0 ? 0 : 1));

    /// <summary>Asked before a page is read (id, level, first chunk): false skips it and all below.</summary>
    internal Func<ChunkId, int, long, bool> Enter { get; init; } = (_, _, _) => true;

    /// <summary>Told of each data chunk: id, offset in the volume, length.</summary>
    internal required Action<ChunkId, long, int> Chunk { get; init; }

    /// <summary>Told of each page that can't be read: id, why, the bytes of the volume that it covers.</summary>
    internal required Action<ChunkId, string, Extent> Unreadable { get; init; }

    internal Task RunAsync(CancellationToken cancellationToken) =>
        volume.Root.IsHole ? Task.CompletedTask : WalkAsync(volume.Root, _tree.TopLevel, 0, cancellationToken);

    private async Task WalkAsync(ChunkId id, int level, long firstChunk, CancellationToken cancellationToken)
    {
        if (!Enter(id, level, firstChunk))
        {
            return;
        }

        byte[] page = new byte[MapTree.PageSize];
        long end = Math.Min(firstChunk + MapTree.ChunksBelow(level + 1), _tree.ChunkCount);
        if (await chunks.TryReadAsync(id, ChunkMeta.PageTypeOf(level), page, cancellationToken) is { } why)
        {
            Unreadable(id, why, Extent.FromTo(firstChunk * chunkSize, Math.Min(end * chunkSize, volume.Length)));
            return;
        }

        long below = MapTree.ChunksBelow(level);
        for (int entry = 0; firstChunk + (entry * below) < end && entry < MapTree.Fanout; entry++)
        {
            ChunkId child = MapPages.Entry(page, entry);
            long first = firstChunk + (entry * below);
            if (child.IsHole)
            {
                continue;
            }

            if (level > 0)
            {
                await WalkAsync(child, level - 1, first, cancellationToken);
            }
            else
            {
                Chunk(child, first * chunkSize, (int)Math.Min(chunkSize, volume.Length - (first * chunkSize)));
            }
        }
    }
}
