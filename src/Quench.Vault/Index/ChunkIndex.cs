using System.Diagnostics.CodeAnalysis;
using Quench.Vault.Format;
using Quench.Vault.Index.Runs;

namespace Quench.Vault.Index;

/// <summary>
/// The index: a table in memory, and, when it grows above a limit, runs on disk with a filter for each in memory. A question goes to the table, then
/// to the runs from the newest to the oldest; the first answer counts.
/// </summary>
/// <remarks>
/// Adding takes a lock, asking none. Table and runs are exchanged together, in one step: a table that has become a run stays with those who ask it.
/// A page of a run that can't be read makes the index damaged for good: it knows more than it can say, and its owner makes a new one.
/// </remarks>
internal sealed class ChunkIndex(IndexCache? cache, IndexLimits limits) : IChunkIndex, IDisposable
{
    private readonly Lock _gate = new(); // held by whoever adds; guards the four below
    private readonly Dictionary<Guid, int> _packNumbers = [];
    private int _packCount;
    private bool _spills = cache is not null;
    private volatile View _view = new(new ChunkTable(), []);

    private volatile IndexedPack[] _packs = new IndexedPack[16]; // by number; a record is shown after its pack
    private volatile int _count;
    private volatile bool _damaged;

    /// <summary>An index that stays in memory.</summary>
    internal ChunkIndex()
        : this(null, IndexLimits.Default)
    {
    }

    /// <inheritdoc/>
    public int Count => _count;

    /// <summary>Whether a part of it can't be read any more: what it finds is right, what it does not find may be there.</summary>
    internal bool IsDamaged => _damaged;

    /// <summary>Its runs, newest first.</summary>
    internal IReadOnlyList<RunFile> Runs => _view.Runs;

    /// <summary>Records in memory.</summary>
    internal int InMemory => _view.Table.Entries;

    /// <summary>How often the records in memory have become a run.</summary>
    internal int Spills { get; private set; }

    /// <summary>How many chunks there were when the records in memory last became a run: the runs have a record for each number below it.</summary>
    internal int CountInRuns { get; private set; }

    /// <summary>The packs, a copy.</summary>
    internal IndexedPack[] Packs
    {
        get
        {
            lock (_gate)
            {
                return _packs[.._packCount];
            }
        }
    }

    /// <inheritdoc/>
    public bool TryFind(ChunkId id, out ChunkPlace place, out int ordinal)
    {
        try
        {
            if (TryFindRecord(id, out IndexRecord record))
            {
                place = new ChunkPlace(_packs[record.Pack], record.Offset, record.SealedLength, new ChunkMeta(record.Meta));
                ordinal = record.Ordinal;
                return true;
            }
        }
        catch (DamagedRunException damage)
        {
            _damaged = true;
            throw VaultErrors.DamagedIndexCache(damage);
        }

        place = default;
        ordinal = -1;
        return false;
    }

    /// <inheritdoc/>
    public bool CanRelyOn(ChunkId id)
    {
        try
        {
            return TryFindRecord(id, out IndexRecord record) && _packs[record.Pack].CanBeReliedOn;
        }
        catch (DamagedRunException)
        {
            _damaged = true;
            return false;
        }
    }

    /// <summary>The pack of an id, if it is known.</summary>
    internal bool TryFindPack(Guid id, [NotNullWhen(true)] out IndexedPack? pack)
    {
        lock (_gate)
        {
            pack = _packNumbers.TryGetValue(id, out int number) ? _packs[number] : null;
            return pack is not null;
        }
    }

    /// <summary>Makes a pack known.</summary>
    /// <param name="pack">The pack.</param>
    /// <param name="isNamed">A sound index object names it.</param>
    /// <returns>Its number; that of the pack with the same id when there is one.</returns>
    internal int AddPack(IndexedPack pack, bool isNamed)
    {
        lock (_gate)
        {
            if (!_packNumbers.TryGetValue(pack.Id, out int number))
            {
                number = _packCount++;
                if (number == _packs.Length)
                {
                    IndexedPack[] larger = new IndexedPack[number * 2];
                    _packs.CopyTo(larger, 0);
                    _packs = larger;
                }

                _packs[number] = pack;
                _packNumbers.Add(pack.Id, number);
            }

            _packs[number].IsNamed |= isNamed;
            return number;
        }
    }

    /// <summary>Says where a chunk is. Of several places the first of the best stays: one to rely on, or else one that can at least be read.</summary>
    internal void Add(ChunkId id, int pack, int offset, int sealedLength, ChunkMeta meta)
    {
        lock (_gate)
        {
            bool isKnown = TryFindForAdding(id, out IndexRecord known);
            if (isKnown && Worth(_packs[pack]) <= Worth(_packs[known.Pack]))
            {
                return;
            }

            View view = _view;
            view.Table.Set(new IndexRecord(id, pack, offset, sealedLength, meta.Bits, isKnown ? known.Ordinal : _count));
            _count += isKnown ? 0 : 1;
            if (_spills && view.Table.Entries >= (view.Runs.Length == 0 ? limits.InMemory : limits.Tail))
            {
                Spill();
            }
        }
    }

    /// <summary>Starts with what a cache holds. The index must be empty; the runs are its own from now on.</summary>
    internal void Adopt(IEnumerable<IndexedPack> packs, RunFile[] runs, int count)
    {
        lock (_gate)
        {
            foreach (IndexedPack pack in packs)
            {
                AddPack(pack, pack.IsNamed);
            }

            _count = count;
            CountInRuns = count;
            _view = new View(_view.Table, runs);
        }
    }

    /// <summary>Writes the records in memory out as a run, and merges runs when there are many.</summary>
    /// <returns>False when that is impossible: they stay in memory then.</returns>
    internal bool TrySpill()
    {
        lock (_gate)
        {
            return _view.Table.Entries == 0 || (_spills && Spill());
        }
    }

    /// <summary>Closes the runs. Nobody may ask any more.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _spills = false;
            foreach (RunFile run in _view.Runs)
            {
                run.Dispose();
            }
        }
    }

    private bool TryFindRecord(ChunkId id, out IndexRecord record)
    {
        while (true)
        {
            View view = _view;
            try
            {
                return view.TryFind(id, out record);
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(view, _view))
            {
                // A run was merged away while we asked it. The view that has the merged one is there already.
            }
        }
    }

    /// <summary>Finds what is known of an id. Where a run can't be read it counts as unknown: better stored twice than not at all.</summary>
    private bool TryFindForAdding(ChunkId id, out IndexRecord record)
    {
        try
        {
            return _view.TryFind(id, out record);
        }
        catch (DamagedRunException)
        {
            _damaged = true;
            record = default;
            return false;
        }
    }

    private bool Spill()
    {
        View view = _view;
        if (cache!.TryWrite(view.Table.Sorted, view.Table.Entries) is not { } run)
        {
            _spills = false;
            return false;
        }

        Spills++;
        CountInRuns = _count;
        _view = new View(new ChunkTable(), [run, .. view.Runs]);
        Merge();

        // Tables and filters that nobody asks any more are tens of MiB in few objects, which the collector is in no hurry to look at.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return true;
    }

    private void Merge()
    {
        View view = _view;
        int count = _damaged ? 0 : RunMerge.Choose([.. view.Runs.Select(run => run.Shape.Count)], limits.Runs);
        if (count == 0)
        {
            return;
        }

        RunFile[] old = view.Runs[..count];
        try
        {
            if (cache!.TryWrite(() => RunMerge.Records(old), old.Sum(run => run.Shape.Count)) is not { } merged)
            {
                _spills = false;
                return;
            }

            _view = new View(view.Table, [merged, .. view.Runs[count..]]);
        }
        catch (DamagedRunException)
        {
            _damaged = true; // they stay as they are, and say of the damaged page what they know
            return;
        }

        foreach (RunFile run in old)
        {
            run.Dispose();
        }
    }

    /// <summary>What is asked: complete at any moment.</summary>
    private sealed class View(ChunkTable table, RunFile[] runs)
    {
        internal ChunkTable Table { get; } = table;

        internal RunFile[] Runs { get; } = runs;

        internal bool TryFind(ChunkId id, out IndexRecord record)
        {
            if (Table.TryFind(id, out record))
            {
                return true;
            }

            foreach (RunFile run in Runs)
            {
                if (run.TryFind(id, out record))
                {
                    return true;
                }
            }

            return false;
        }
    }

    private static int Worth(IndexedPack pack) => !pack.IsPresent ? 0 : pack.IsCondemned ? 1 : 2;
}
