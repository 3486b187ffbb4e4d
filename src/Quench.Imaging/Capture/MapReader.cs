using System.Collections.Concurrent;
using Quench.Blocks;

namespace Quench.Imaging.Capture;

/// <summary>
/// Remembers what was read of a volume, so that its map of used blocks can be read again and again while it changes, and in no time while its writers are held: only what
/// changed is read anew. Bounded; what does not fit is read each time. Reads are thread-safe; nobody reads while something is forgotten.
/// </summary>
internal sealed class MapReader(Func<IBlockReader> volume) : IBlockReader
{
    private const int PageBytes = 64 * 1024;
    private const int MaxPages = 4096; // 256 MiB: the bitmaps of some 8 TiB

    private readonly ConcurrentDictionary<long, byte[]> _pages = new();

    /// <inheritdoc/>
    public BlockGeometry Geometry => volume().Geometry;

    /// <summary>Drops what may be another now.</summary>
    public void Forget(UsedBlocks changed)
    {
        foreach (long page in _pages.Keys)
        {
            if (changed.Overlaps(new Extent(page * PageBytes, PageBytes).Intersect(Geometry.Whole)))
            {
                _pages.TryRemove(page, out _);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        for (int done = 0; done < into.Length;)
        {
            long page = (offset + done) / PageBytes;
            int from = (int)((offset + done) % PageBytes);
            int count = Math.Min(PageBytes - from, into.Length - done);
            byte[] bytes = await GetAsync(page, cancellationToken);
            bytes.AsMemory(from, count).CopyTo(into[done..]);
            done += count;
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => volume().MapAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async ValueTask<byte[]> GetAsync(long page, CancellationToken cancellationToken)
    {
        if (_pages.TryGetValue(page, out byte[]? known))
        {
            return known;
        }

        Extent extent = new Extent(page * PageBytes, PageBytes).Intersect(Geometry.Whole);
        byte[] bytes = new byte[extent.Length];
        await volume().ReadAsync(extent.Offset, bytes, cancellationToken);
        if (_pages.Count < MaxPages)
        {
            _pages[page] = bytes;
        }

        return bytes;
    }
}
