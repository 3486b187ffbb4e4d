using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>
/// The image of an earlier point that a new one is built upon: what has not changed since keeps its ids, whole pages at a time, and is neither
/// read nor looked up. A session finds it among the points that it saw when it began (docs/vault-format.md §10.5). Thread-safe.
/// </summary>
public sealed class BaseImage
{
    private const int CachedPages = 2048; // 16 MiB, taken only where that many pages have changed
    private const int CheckLanes = 4;

    private readonly MapPages _pages;
    private readonly int _chunkSize;
    private readonly MapTree _tree;
    private readonly int _topLevel;

    internal BaseImage(BackupSession session, ChunkReader chunks, Guid point, VolumeRecord volume, int chunkSize)
    {
        Session = session;
        Point = point;
        Volume = volume;
        _pages = new MapPages(chunks, CachedPages);
        _chunkSize = chunkSize;
        _tree = new MapTree((volume.Length / chunkSize) + (volume.Length % chunkSize == 0 ? 0 : 1));
        _topLevel = _tree.TopLevel;
    }

    /// <summary>The point that it belongs to.</summary>
    public Guid Point { get; }

    /// <summary>The volume's record in that point.</summary>
    public VolumeRecord Volume { get; }

    /// <summary>Chunks of the volume.</summary>
    internal long ChunkCount => _tree.ChunkCount;

    /// <summary>The session that found it: the only one that may build upon it.</summary>
    internal BackupSession Session { get; }

    /// <summary>The id of the chunk at a place.</summary>
    /// <param name="chunkIndex">The place: offset divided by the vault's chunk size.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">A page on the way can't be read (VAULT-041).</exception>
    public ValueTask<ChunkId> FindAsync(long chunkIndex, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chunkIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(chunkIndex, _tree.ChunkCount);
        return FindAsync(-1, chunkIndex, cancellationToken);
    }

    /// <summary>
    /// Reads every page on the way to these chunks, and no other: whoever is about to let go of the means to read everything learns in time whether
    /// the base will do.
    /// </summary>
    /// <param name="chunks">A bit for each chunk of the volume.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">One of them can't be read (VAULT-041).</exception>
    public Task CheckAsync(BlockBitmap chunks, CancellationToken cancellationToken)
    {
        ParallelOptions options = new() { MaxDegreeOfParallelism = CheckLanes, CancellationToken = cancellationToken };
        return Parallel.ForEachAsync(LeavesOf(chunks), options, async (leaf, token) => await ReadPageAsync(0, leaf, token));
    }

    /// <summary>The numbers of the pages of level 0 that hold any of these chunks, in order.</summary>
    internal static IEnumerable<long> LeavesOf(BlockBitmap chunks)
    {
        for (long chunk = chunks.NextSet(0); chunk >= 0;)
        {
            long leaf = chunk / MapTree.Fanout;
            yield return leaf;
            long next = (leaf + 1) * MapTree.Fanout;
            chunk = next < chunks.Length ? chunks.NextSet(next) : -1;
        }
    }

    /// <summary>Reads a page.</summary>
    /// <param name="level">Its level.</param>
    /// <param name="number">Which of its level.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The page, not to be changed; null when all of it is zeros.</returns>
    internal async ValueTask<byte[]?> ReadPageAsync(int level, long number, CancellationToken cancellationToken)
    {
        ChunkId id = await FindAsync(level, number, cancellationToken);
        return id.IsHole ? null : await PageAsync(id, level, FirstChunk(level, number), cancellationToken);
    }

    /// <summary>The id of a page; level -1 has the data chunks.</summary>
    private async ValueTask<ChunkId> FindAsync(int level, long number, CancellationToken cancellationToken)
    {
        long chunk = FirstChunk(level, number);
        ChunkId id = Volume.Root;
        for (int above = _topLevel; above > level && !id.IsHole; above--)
        {
            byte[] page = await PageAsync(id, above, chunk, cancellationToken);
            id = MapPages.Entry(page, (int)(chunk / MapTree.ChunksBelow(above) % MapTree.Fanout));
        }

        return id;
    }

    private static long FirstChunk(int level, long number) => number * MapTree.ChunksBelow(level + 1);

    private async ValueTask<byte[]> PageAsync(ChunkId id, int level, long chunk, CancellationToken cancellationToken)
    {
        (byte[]? page, string? why) = await _pages.ReadAsync(id, level, cancellationToken);
        return page ?? throw VaultErrors.UnreadableChunk(
            id.ToString(), Volume.Name, chunk * _chunkSize, $"it is a page of the map of point {Point:N}, and {why}");
    }
}
