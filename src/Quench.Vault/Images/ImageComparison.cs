using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>
/// Where two images of one length may differ, by their maps alone: what has the same id has the same content, so equal pages are passed over whole and no data
/// are read. (docs/vault-format.md §9.2)
/// </summary>
/// <param name="pages">Where pages are read.</param>
/// <param name="volume">The newer one, for messages.</param>
/// <param name="changed">Gets a bit for each chunk that differs.</param>
internal sealed class ImageComparison(MapPages pages, VolumeRecord volume, UsedBlocks changed)
{
    private static readonly byte[] s_holes = new byte[MapTree.PageSize]; // what a hole in place of a page stands for

    /// <summary>Compares what lies below two ids.</summary>
    /// <param name="older">An id in the older image's map.</param>
    /// <param name="newer">The id at the same place in the newer's.</param>
    /// <param name="level">Of the pages that they name; -1 when they name chunks.</param>
    /// <param name="first">The first chunk below them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">VAULT-041: a page can't be read.</exception>
    internal async ValueTask CompareAsync(ChunkId older, ChunkId newer, int level, long first, CancellationToken cancellationToken)
    {
        if (older == newer || first >= changed.Bits.Length)
        {
            return;
        }

        if (level < 0)
        {
            changed.Bits.Set(first);
            return;
        }

        byte[] left = await ReadAsync(older, level, first, cancellationToken);
        byte[] right = await ReadAsync(newer, level, first, cancellationToken);
        for (int entry = 0; entry < MapTree.Fanout; entry++)
        {
            await CompareAsync(
                MapPages.Entry(left, entry), MapPages.Entry(right, entry), level - 1, first + (entry * MapTree.ChunksBelow(level)), cancellationToken);
        }
    }

    private async ValueTask<byte[]> ReadAsync(ChunkId id, int level, long first, CancellationToken cancellationToken)
    {
        if (id.IsHole)
        {
            return s_holes;
        }

        (byte[]? page, string? why) = await pages.ReadAsync(id, level, cancellationToken);
        return page ?? throw VaultErrors.UnreadableChunk(id.ToString(), volume.Name, first * changed.BlockSize, $"it is a page of the volume's map, and {why}");
    }
}
