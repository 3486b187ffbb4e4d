using System.Collections.Concurrent;
using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>
/// Writes the map of a volume's image: a tree of pages, 256 ids each, that are chunks themselves. A page is stored as soon as all
/// its ids are known, so memory stays bounded when chunks come in an order that is near the volume's. Upon a <see cref="BaseImage"/> only the pages
/// on the way to what is said are read, altered and stored; all others keep their ids. (docs/vault-format.md §9.2)
/// </summary>
public sealed class ImageWriter
{
    private readonly BackupSession _session;
    private readonly BlockBitmap _toCome;
    private readonly BaseImage? _base;
    private readonly BlockBitmap? _holes; // disjoint from _toCome; chunks of the base that become holes; null with no base
    private readonly MapTree _tree;
    private readonly ConcurrentBag<ChunkSealer> _sealers = [];
    private readonly CancellationToken _stop;

    private readonly Lock _gate = new(); // guards all below
    private readonly Dictionary<long, Leaf> _leaves = []; // begun and not complete, by number
    private readonly BlockBitmap _set; // ⊆ _toCome: what has been said
    private readonly Dictionary<long, ChunkId> _leafIds = []; // leaves whose id is another than the base's; with no base all that were said
    private readonly List<Task> _adding = []; // pages that wait for their base, or for room on their way to the store
    private bool _finished;

    internal ImageWriter(BackupSession session, BlockBitmap chunksToCome, BaseImage? upon, BlockBitmap? holes, CancellationToken stop)
    {
        _session = session;
        _toCome = chunksToCome;
        _base = upon;
        _holes = holes;
        _stop = stop;
        _tree = new MapTree(chunksToCome.Length);
        _set = new BlockBitmap(chunksToCome.Length);
        Differing = new BlockBitmap(upon is null ? 0 : chunksToCome.Length);
    }

    /// <summary>The chunks whose id is another than in the base; complete when the image is finished. Empty with no base.</summary>
    public BlockBitmap Differing { get; }

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
            Store(number, complete.Page);
        }
    }

    /// <summary>Stores what is left of the map.</summary>
    /// <returns>The root, for <see cref="VolumeRecord.Root"/>.</returns>
    /// <exception cref="InvalidOperationException">Not every expected chunk has been set.</exception>
    /// <exception cref="QuenchException">A page of the base can't be read (VAULT-041), or the store failed.</exception>
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
            await StoreEmptiedLeavesAsync(cancellationToken);
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

    /// <summary>Waits for what is still on its way, however it ends. The session calls it before it lets go of what pages are read and sealed with.</summary>
    internal async Task QuiesceAsync()
    {
        Task[] adding;
        lock (_gate)
        {
            _finished = true;
            adding = [.. _adding];
        }

        await Task.WhenAll(adding).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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

    /// <summary>
    /// Stores a leaf; what of it can't be done at once goes on by itself. A page of the base in a local vault is read here and now, on the caller's
    /// lane, which keeps it from running ahead.
    /// </summary>
    private void Store(long number, byte[] page)
    {
        ValueTask storing = StoreLeafAsync(number, page, _stop);
        if (!storing.IsCompletedSuccessfully)
        {
            lock (_gate)
            {
                _adding.RemoveAll(task => task.IsCompletedSuccessfully);
                _adding.Add(storing.AsTask()); // FinishAsync awaits it; a failure is thrown there
            }
        }
    }

    private async ValueTask StoreLeafAsync(long number, byte[] page, CancellationToken cancellationToken)
    {
        if (_base is not null && !await MergeAsync(_base, number, page, cancellationToken))
        {
            return; // as it was: it keeps the base's id, and so do the pages above it if nothing else changes below them
        }

        ValueTask adding = AddPageAsync(0, page, out ChunkId id, cancellationToken);
        lock (_gate)
        {
            _leafIds.Add(number, id);
        }

        await adding;
    }

    /// <summary>Fills a leaf up with the base's ids of the chunks about which nothing was said.</summary>
    /// <returns>False when it is the base's leaf now.</returns>
    private async ValueTask<bool> MergeAsync(BaseImage upon, long number, byte[] page, CancellationToken cancellationToken)
    {
        byte[]? old = await upon.ReadPageAsync(0, number, cancellationToken);
        long first = number * MapTree.Fanout;
        int entries = (int)Math.Min(MapTree.Fanout, _toCome.Length - first);
        bool differs = false;
        lock (_gate)
        {
            for (int entry = 0; entry < entries; entry++)
            {
                Span<byte> now = page.AsSpan(entry * MapTree.IdSize, MapTree.IdSize);
                ChunkId then = old is null ? ChunkId.Hole : MapPages.Entry(old, entry);
                if (!_toCome[first + entry] && !_holes![first + entry])
                {
                    then.CopyTo(now);
                }
                else if (ChunkId.From(now) != then)
                {
                    Differing.Set(first + entry);
                    differs = true;
                }
            }
        }

        return differs;
    }

    /// <summary>Leaves of the base that only lose chunks: nobody sets anything in them.</summary>
    private async Task StoreEmptiedLeavesAsync(CancellationToken cancellationToken)
    {
        foreach (long number in _holes is null ? [] : BaseImage.LeavesOf(_holes))
        {
            long first = number * MapTree.Fanout;
            long end = Math.Min(first + MapTree.Fanout, _toCome.Length);
            if (_toCome.NextSet(first, end) == end)
            {
                await StoreLeafAsync(number, new byte[MapTree.PageSize], cancellationToken);
            }
        }
    }

    /// <summary>Stores the pages above those that were stored, level by level, each with the base's ids where nothing changed.</summary>
    private async Task<ChunkId> StoreUpperLevelsAsync(CancellationToken cancellationToken)
    {
        Dictionary<long, ChunkId> below = _leafIds; // nobody else is left
        byte[] page = new byte[MapTree.PageSize];
        for (int level = 1; level <= _tree.TopLevel; level++)
        {
            Dictionary<long, ChunkId> ids = [];
            foreach (IGrouping<long, KeyValuePair<long, ChunkId>> children in below.GroupBy(child => child.Key / MapTree.Fanout).OrderBy(group => group.Key))
            {
                await LoadAsync(level, children.Key, page, cancellationToken);
                foreach ((long number, ChunkId child) in children)
                {
                    child.CopyTo(page.AsSpan((int)(number % MapTree.Fanout) * MapTree.IdSize));
                }

                await AddPageAsync(level, page, out ChunkId id, cancellationToken);
                ids.Add(children.Key, id);
            }

            below = ids;
        }

        return below.TryGetValue(0, out ChunkId root) ? root : _base?.Volume.Root ?? ChunkId.Hole;
    }

    private async ValueTask LoadAsync(int level, long number, byte[] page, CancellationToken cancellationToken)
    {
        byte[]? old = _base is null ? null : await _base.ReadPageAsync(level, number, cancellationToken);
        if (old is null)
        {
            page.AsSpan().Clear();
        }
        else
        {
            old.CopyTo(page, 0);
        }
    }

    private ValueTask AddPageAsync(int level, ReadOnlySpan<byte> page, out ChunkId id, CancellationToken cancellationToken)
    {
        id = page.ContainsAnyExcept((byte)0) ? _session.IdentifyPage(level, page) : ChunkId.Hole;
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
