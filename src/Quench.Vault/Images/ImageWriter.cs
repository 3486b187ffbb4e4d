using System.Collections.Concurrent;
using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>
/// Writes the map of a volume's image: a tree of pages, 256 ids each, that are chunks themselves. A page is stored as soon as all
/// its ids are known, so memory stays bounded when chunks come in an order that is near the volume's. (docs/vault-format.md §9.2)
/// </summary>
public sealed class ImageWriter
{
    private readonly BackupSession _session;
    private readonly BlockBitmap _toCome;
    private readonly MapTree _tree;
    private readonly ConcurrentBag<ChunkSealer> _sealers = [];

    private readonly Lock _gate = new(); // guards all below
    private readonly Dictionary<long, Leaf> _leaves = []; // begun and not complete, by number
    private readonly BlockBitmap _set; // ⊆ _toCome: what has been said
    private readonly ChunkId[] _leafIds; // the hole where nothing has been stored
    private readonly List<Task> _adding = []; // pages that wait for room on their way to the store
    private bool _finished;

    internal ImageWriter(BackupSession session, BlockBitmap chunksToCome)
    {
        _session = session;
        _toCome = chunksToCome;
        _tree = new MapTree(chunksToCome.Length);
        _set = new BlockBitmap(chunksToCome.Length);
        _leafIds = new ChunkId[_tree.PagesAt(0)];
    }

    /// <summary>Says which chunk lies at a place of the volume. Thread-safe; exactly once for each expected chunk.</summary>
    /// <param name="chunkIndex">The place: offset divided by the vault's chunk size.</param>
    /// <param name="id">The chunk's id; the hole when all of it is zeros.</param>
    /// <exception cref="InvalidOperationException">The place is not expected, or has been set before.</exception>
    public void Set(long chunkIndex, ChunkId id)
    {
        long number = chunkIndex / MapTree.Fanout;
        Leaf? complete;
        lock (_gate)
        {
            if (!_toCome[chunkIndex] || _set[chunkIndex] || _finished)
            {
                throw new InvalidOperationException($"chunk {chunkIndex} of the image was not expected, or has been set before");
            }

            _set.Set(chunkIndex);
            complete = Enter(number, (int)(chunkIndex % MapTree.Fanout), id);
        }

        if (complete is not null)
        {
            Store(number, complete);
        }
    }

    /// <summary>Stores what is left of the map.</summary>
    /// <returns>The root, for <see cref="VolumeRecord.Root"/>.</returns>
    /// <exception cref="InvalidOperationException">Not every expected chunk has been set.</exception>
    public async Task<ChunkId> FinishAsync(CancellationToken cancellationToken)
    {
        Task[] adding;
        lock (_gate)
        {
            long missing = _toCome.CountSet() - _set.CountSet();
            if (missing > 0 || _finished)
            {
                throw new InvalidOperationException(_finished ? "an image is finished once" : $"{missing} chunks of the image have not been set");
            }

            _finished = true;
            adding = [.. _adding];
        }

        try
        {
            await Task.WhenAll(adding).WaitAsync(cancellationToken);
            return await StoreUpperLevelsAsync(cancellationToken);
        }
        finally
        {
            while (_sealers.TryTake(out ChunkSealer? sealer))
            {
                sealer.Dispose();
            }
        }
    }

    /// <summary>Puts an id into its leaf.</summary>
    /// <returns>The leaf when that was its last.</returns>
    private Leaf? Enter(long number, int entry, ChunkId id)
    {
        if (!_leaves.TryGetValue(number, out Leaf? leaf))
        {
            long first = number * MapTree.Fanout;
            leaf = new Leaf((int)_toCome.CountSet(first, Math.Min(MapTree.Fanout, _toCome.Length - first)));
            _leaves.Add(number, leaf);
        }

        id.CopyTo(leaf.Page.AsSpan(entry * MapTree.IdSize));
        if (--leaf.Missing > 0)
        {
            return null;
        }

        _leaves.Remove(number);
        return leaf;
    }

    private void Store(long number, Leaf leaf)
    {
        ChunkId id = default;
        if (leaf.Page.AsSpan().ContainsAnyExcept((byte)0))
        {
            ValueTask adding = AddPageAsync(0, leaf.Page, out id, CancellationToken.None);
            if (!adding.IsCompletedSuccessfully)
            {
                lock (_gate)
                {
                    _adding.RemoveAll(task => task.IsCompletedSuccessfully);
                    _adding.Add(adding.AsTask()); // FinishAsync awaits it; a failure is the session's too
                }
            }
        }

        lock (_gate)
        {
            _leafIds[number] = id;
        }
    }

    private async Task<ChunkId> StoreUpperLevelsAsync(CancellationToken cancellationToken)
    {
        ChunkId[] below = _leafIds;
        for (int level = 1; below.Length > 1; level++)
        {
            ChunkId[] ids = new ChunkId[_tree.PagesAt(level)];
            byte[] page = new byte[MapTree.PageSize];
            for (int i = 0; i < ids.Length; i++)
            {
                Fill(page, below.AsSpan(i * MapTree.Fanout));
                if (page.AsSpan().ContainsAnyExcept((byte)0))
                {
                    await AddPageAsync(level, page, out ids[i], cancellationToken);
                }
            }

            below = ids;
        }

        return below[0];
    }

    private static void Fill(Span<byte> page, ReadOnlySpan<ChunkId> ids)
    {
        page.Clear();
        for (int i = 0; i < Math.Min(MapTree.Fanout, ids.Length); i++)
        {
            ids[i].CopyTo(page[(i * MapTree.IdSize)..]);
        }
    }

    private ValueTask AddPageAsync(int level, ReadOnlySpan<byte> page, out ChunkId id, CancellationToken cancellationToken)
    {
        id = _session.IdentifyPage(level, page);
        if (!_session.TryClaim(id))
        {
            return ValueTask.CompletedTask;
        }

        ChunkSealer sealer = _sealers.TryTake(out ChunkSealer? idle) ? idle : _session.NewSealer();
        SealedChunk chunk = sealer.Seal(ChunkMeta.PageTypeOf(level), id, null, page);
        _sealers.Add(sealer);
        return _session.AddAsync(chunk, cancellationToken);
    }

    private sealed class Leaf(int missing)
    {
        internal byte[] Page { get; } = new byte[MapTree.PageSize];

        internal int Missing { get; set; } = missing;
    }
}
