using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>Map pages, read when they are asked for; the last few are kept. Thread-safe.</summary>
/// <param name="chunks">Where they are read.</param>
/// <param name="maxPages">How many are kept, 8 KiB each.</param>
internal sealed class MapPages(ChunkReader chunks, int maxPages = MapPages.UsualPages)
{
    private const int UsualPages = 256; // 2 MiB

    private readonly Lock _gate = new(); // guards the two below
    private readonly Dictionary<ChunkId, byte[]> _pages = [];
    private readonly Queue<ChunkId> _order = []; // the same ids, in the order they came

    /// <summary>Reads a page.</summary>
    /// <param name="id">Its id; not the hole's.</param>
    /// <param name="level">Its level.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The page, not to be changed; or why it can't be had.</returns>
    internal async ValueTask<(byte[]? Page, string? Why)> ReadAsync(ChunkId id, int level, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_pages.TryGetValue(id, out byte[]? present))
            {
                return (present, null);
            }
        }

        byte[] page = new byte[MapTree.PageSize];
        string? why = await chunks.TryReadAsync(id, ChunkMeta.PageTypeOf(level), page, cancellationToken);
        if (why is not null)
        {
            return (null, why);
        }

        Keep(id, page);
        return (page, null);
    }

    /// <summary>The id at an entry of a page.</summary>
    internal static ChunkId Entry(byte[] page, int entry) => ChunkId.From(page.AsSpan(entry * MapTree.IdSize, MapTree.IdSize));

    private void Keep(ChunkId id, byte[] page)
    {
        lock (_gate)
        {
            if (_pages.TryAdd(id, page))
            {
                _order.Enqueue(id);
                if (_order.Count > maxPages)
                {
                    _pages.Remove(_order.Dequeue());
                }
            }
        }
    }
}
