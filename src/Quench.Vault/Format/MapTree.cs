namespace Quench.Vault.Format;

/// <summary>The shape of a volume's map: pages of 256 ids, level above level up to one. (§9.2)</summary>
/// <param name="ChunkCount">Chunks of the volume.</param>
internal readonly record struct MapTree(long ChunkCount)
{
    internal const int IdSize = 32;
    internal const int Fanout = 256;
    internal const int PageSize = Fanout * IdSize;

    /// <summary>The level of the one page at the top.</summary>
    internal int TopLevel
    {
        get
        {
            int level = 0;
            for (long pages = PagesAt(0); pages > 1; pages = (pages + Fanout - 1) / Fanout)
            {
                level++;
            }

            return level;
        }
    }

    /// <summary>Pages of a level; at least one.</summary>
    internal long PagesAt(int level)
    {
        long pages = Math.Max(1, (ChunkCount + Fanout - 1) / Fanout);
        for (int l = 0; l < level; l++)
        {
            pages = (pages + Fanout - 1) / Fanout;
        }

        return pages;
    }

    /// <summary>Chunks below one entry of a page of a level: 256^level.</summary>
    internal static long ChunksBelow(int level) => 1L << (8 * level);
}
