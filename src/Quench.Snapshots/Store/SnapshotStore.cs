using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Blocks.Devices;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Store;

/// <summary>
/// The store of one volume's persistent snapshots: the shell around <see cref="VersionBook"/>. It holds the one lock, waits, and moves the bytes.
/// </summary>
/// <remarks>
/// Thread-safe. For each block the order is: old bytes in the ring, then the entry in the table, then the write on the origin; the data file follows when it can
/// (<see cref="SaveRing"/>). So a process may die between any two: the next one finds a free slot, or a kept block, and the write that was never answered comes again.
/// A store's disk that fails or is slow costs snapshots. A write fails never because of it, and waits a quarter of a second at most.
/// </remarks>
internal sealed class SnapshotStore : IDisposable
{
    private const int SweepStep = 4096;   // versions given back in one hold of the lock
    private const int MeasureStep = 4096; // slots counted in one hold of the lock
    private const int LookStep = 16384;   // blocks looked up in one hold of the lock

    private readonly Disk _origin;
    private readonly StoreFiles _files;
    private readonly SaveRing _ring;
    private readonly SpillSettings _limits;
    private readonly Action<Exception> _report;
    private readonly object _gate = new();  // a monitor, because writers wait on it; guards the three below
    private readonly VersionBook _book;
    private readonly GrowthMeter _growth;
    private readonly AlignedBufferPool _buffers;
    private readonly int _blockSize;
    private bool _closed;                   // the table is not mapped any more
    private volatile bool _isIdle;          // no snapshot can be read: writes pass without a lock. Becomes false only while no write is in flight

    /// <summary>Takes up a store, and owns its files from now on.</summary>
    /// <param name="origin">The volume's origin; lent.</param>
    /// <param name="files">The store's files.</param>
    /// <param name="clock">For rates.</param>
    /// <param name="report">Told why an old block could not be kept: whoever asks later learns only that. Must not throw.</param>
    /// <param name="limits">How long things may take; null for what is usual.</param>
    internal SnapshotStore(Disk origin, StoreFiles files, TimeProvider clock, Action<Exception> report, SpillSettings? limits = null)
    {
        _report = report;
        _origin = origin;
        _files = files;
        _book = new VersionBook(files.Table);
        _growth = new GrowthMeter(clock);
        _blockSize = files.Table.Geometry.BlockSize;
        _buffers = new AlignedBufferPool(SaveBatch.MaxBlocks * _blockSize, maxRetained: 8);
        _isIdle = _book.Newest == 0;
        _growth.Note(0);
        _limits = limits ?? new SpillSettings { BlockSize = _blockSize, RingBytes = files.Blocks.Ring.Cells * _blockSize };
        _ring = new SaveRing(files.Blocks, _book.IsTaken, _limits, TryLose, DropLate);
    }

    /// <summary>What it is made for.</summary>
    internal StoreGeometry Geometry => _files.Table.Geometry;

    /// <summary>Told when a writer waits on purpose; null for nobody. Set before the first write.</summary>
    internal Board? Watch
    {
        set => _ring.Watch = value;
    }

    /// <summary>Keeps what the snapshots need of a range that is about to be overwritten. Never fails: what can't be kept costs snapshots.</summary>
    internal void BeforeWrite(Extent range)
    {
        if (_isIdle || range.IsEmpty)
        {
            return;
        }

        SaveBatch batch;
        StoreStep step;
        lock (_gate)
        {
            batch = _book.BeginWrite(range.Offset / _blockSize, ((range.End - 1) / _blockSize) + 1);
            step = NextUnsynchronized(batch);
        }

        TimeSpan waited = TimeSpan.Zero;
        while (step == StoreStep.Save)
        {
            DropReason trouble = Save(batch, ref waited);
            lock (_gate)
            {
                Complete(batch, trouble);
                step = NextUnsynchronized(batch);
            }

            waited = range.Length > SpillSettings.LongestWrite ? TimeSpan.Zero : waited;
        }

        lock (_gate)
        {
            _book.EndWrite(batch);
        }
    }

    /// <summary>Reads a snapshot.</summary>
    /// <param name="number">Which.</param>
    /// <param name="offset">First byte; a whole sector of the origin.</param>
    /// <param name="into">Whole sectors, or up to the volume's end.</param>
    /// <returns>False when the snapshot is gone; the buffer's content means nothing then.</returns>
    /// <exception cref="IOException">The origin or the data file can't be read.</exception>
    internal bool TryRead(uint number, long offset, Span<byte> into)
    {
        Span<int> plan = stackalloc int[SaveBatch.MaxBlocks];
        for (int done = 0; done < into.Length;)
        {
            long first = (offset + done) / _blockSize;
            int room = (int)Math.Min(into.Length - done, ((first + plan.Length) * _blockSize) - (offset + done));
            int blocks = (int)(((offset + done + room - 1) / _blockSize) - first + 1);
            if (!TryReadPlanned(number, first, plan[..blocks], offset + done, into.Slice(done, room)))
            {
                return false;
            }

            done += room;
        }

        return true;
    }

    /// <summary>Adds a snapshot whose instant is now: no write is in flight. False when there are too many.</summary>
    internal bool TryAdd(uint number)
    {
        lock (_gate)
        {
            bool added = _book.TryAdd(number);
            _isIdle = _book.Newest == 0;
            return added;
        }
    }

    /// <summary>Says that a snapshot shall stay. False when it had to be dropped already.</summary>
    internal bool TryKeep(uint number)
    {
        lock (_gate)
        {
            return _book.TryKeep(number);
        }
    }

    /// <summary>Lets go of a snapshot and gives its slots back. False when there is none of that number.</summary>
    internal bool TryDelete(uint number)
    {
        lock (_gate)
        {
            if (!_book.TryDelete(number))
            {
                return false;
            }

            _isIdle = _book.Newest == 0;
        }

        while (true)
        {
            lock (_gate)
            {
                if (!_book.Sweep(SweepStep))
                {
                    return true;
                }
            }
        }
    }

    /// <summary>The snapshots, dropped ones included, oldest first.</summary>
    internal SnapshotRecord[] Records()
    {
        lock (_gate)
        {
            return [.. _book.Records];
        }
    }

    /// <summary>How full it is, and how fast it fills.</summary>
    internal StoreUsage Usage()
    {
        lock (_gate)
        {
            double perSecond = _growth.PerSecond(_book.SavedTotal) * _blockSize;
            long free = (long)_book.FreeSlots * _blockSize;
            return new StoreUsage(((long)Geometry.Slots * _blockSize) - free, (long)Geometry.Slots * _blockSize, perSecond);
        }
    }

    /// <summary>What each snapshot that can be read needs. Goes through all slots in steps, and lets writers in between.</summary>
    internal Dictionary<uint, HeldVersions> Measure()
    {
        uint[] numbers = [.. Records().Where(record => record.State != RecordState.Dropped).Select(record => record.Number)];
        HeldVersions[] sums = new HeldVersions[numbers.Length];
        for (int slot = 0; slot < Geometry.Slots; slot += MeasureStep)
        {
            lock (_gate)
            {
                _book.Measure(slot, MeasureStep, numbers, sums);
            }
        }

        return numbers.Zip(sums).ToDictionary(pair => pair.First, pair => pair.Second);
    }

    /// <summary>The runs of blocks whose content for a snapshot is no longer the origin's, and the slots that overwriting them would take.</summary>
    /// <param name="number">A snapshot that can be read.</param>
    /// <param name="fromBlock">Where to begin.</param>
    /// <param name="limit">The most runs.</param>
    /// <param name="runs">Receives them, as bytes of the volume.</param>
    /// <param name="slots">Slots needed for these runs.</param>
    /// <returns>The block to go on at; the number of blocks of the volume at the end.</returns>
    internal long Saved(uint number, long fromBlock, int limit, List<Extent> runs, out long slots)
    {
        long blocks = (Geometry.VolumeLength + _blockSize - 1) / _blockSize;
        slots = 0;
        while (fromBlock < blocks && runs.Count < limit)
        {
            lock (_gate)
            {
                (long first, long count) = _book.NextSaved(number, fromBlock, LookStep, out fromBlock, out long kept);
                slots += kept;
                if (count > 0)
                {
                    runs.Add(Extent.FromTo(first * _blockSize, Math.Min(Geometry.VolumeLength, (first + count) * _blockSize)));
                }
            }
        }

        return fromBlock;
    }

    /// <summary>Makes durable what is kept. No write is in flight.</summary>
    /// <exception cref="IOException">The data file failed, or did not take in time what is in the ring.</exception>
    internal void Flush()
    {
        if (!_ring.TryDrain(_limits.HandlingLimit))
        {
            throw new IOException($"the store's disk did not take the kept blocks within {_limits.HandlingLimit.TotalSeconds:0.#} s");
        }

        _files.Blocks.Flush();
    }

    /// <summary>
    /// Lets go of the files. No write is in flight; whoever still reads is told that the snapshot is gone, or fails. Blocks that are in the ring stay
    /// there for the next one who takes the store up.
    /// </summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            _files.Dispose();
        }

        _ring.Dispose();
        _buffers.Dispose();
    }

    private StoreStep NextUnsynchronized(SaveBatch batch)
    {
        while (true)
        {
            StoreStep step = _book.Next(batch);
            _isIdle = _book.Newest == 0; // it may have dropped the last snapshot
            if (step != StoreStep.Wait)
            {
                return step;
            }

            Monitor.Wait(_gate);
        }
    }

    private void Complete(SaveBatch batch, DropReason trouble)
    {
        if (trouble == DropReason.None)
        {
            _book.CompleteSave(batch);
            _growth.Note(_book.SavedTotal);
        }
        else
        {
            _book.FailSave(batch, trouble);
        }

        Monitor.PulseAll(_gate);
    }

    /// <summary>Copies a batch into the ring. Answers why that was not possible.</summary>
    private DropReason Save(SaveBatch batch, ref TimeSpan waited)
    {
        try
        {
            long offset = batch.First * _blockSize;
            Extent from = Extent.FromTo(offset, Math.Min(Geometry.VolumeLength, offset + ((long)batch.Count * _blockSize)));
            if (_ring.TrySave(_origin, from, batch.Slots, ref waited))
            {
                return DropReason.None;
            }

            _report(new IOException($"a write had waited {_limits.Budget.TotalMilliseconds:0} ms for the store's disk, and {ByteSize.Format(_limits.RingBytes)} wait to be written to it"));
            return DropReason.TooSlow;
        }
#pragma warning disable CA1031 // whatever goes wrong with an old block, the write goes on: the snapshots that need it are dropped and say so
        catch (Exception failure)
        {
            _report(failure);
            return DropReason.SaveFailed;
        }
#pragma warning restore CA1031
    }

    /// <summary>The data file did not take a run of slots. False when the store is closed: the ring keeps their content for the next one.</summary>
    private bool TryLose(SpillRun run, IOException failure)
    {
        lock (_gate)
        {
            if (_closed)
            {
                return false;
            }

            _book.Lose((int)run.FirstSlot, run.Count, DropReason.SaveFailed);
            _isIdle = _book.Newest == 0;
        }

        _report(failure);
        return true;
    }

    /// <summary>A block has been on its way to the data file for too long: no snapshot can live on a medium like that.</summary>
    private void DropLate()
    {
        lock (_gate)
        {
            if (_closed || _book.Newest == 0)
            {
                return;
            }

            _book.DropNewerThan(0, DropReason.TooSlow);
            _isIdle = true;
        }

        _report(new IOException($"a kept block has been on its way to the store's disk for {_limits.HandlingLimit.TotalSeconds:0.#} s"));
    }

    private bool TryReadPlanned(uint number, long firstBlock, Span<int> plan, long offset, Span<byte> into)
    {
        StoreReadStatus status;
        lock (_gate)
        {
            status = _closed ? StoreReadStatus.Gone : _book.Locate(number, firstBlock, plan);
        }

        while (status == StoreReadStatus.Reading)
        {
            ReadPlan(firstBlock, plan, offset, into);
            lock (_gate)
            {
                status = _closed ? StoreReadStatus.Gone : _book.Recheck(number, firstBlock, plan);
            }
        }

        return status == StoreReadStatus.Done;
    }

    /// <summary>Reads what the plan names, in runs as long as they go.</summary>
    private void ReadPlan(long firstBlock, ReadOnlySpan<int> plan, long offset, Span<byte> into)
    {
        for (int index = 0; index < plan.Length;)
        {
            int count = plan[index] < 0 ? SameLength(plan[index..]) : RunLength(plan[index..]);
            long from = Math.Max(offset, (firstBlock + index) * _blockSize);
            long to = Math.Min(offset + into.Length, (firstBlock + index + count) * _blockSize);
            Span<byte> part = into.Slice((int)(from - offset), (int)(to - from));
            if (plan[index] == VersionBook.OnOrigin)
            {
                _origin.Read(from, part);
            }
            else if (plan[index] >= 0)
            {
                ReadSlots(plan[index], (int)(from - ((firstBlock + index) * _blockSize)), part);
            }

            index += count;
        }
    }

    /// <summary>Reads consecutive slots, from some byte of the first one on. The data file knows whole blocks only.</summary>
    private void ReadSlots(int slot, int skip, Span<byte> into)
    {
        if (skip == 0 && into.Length % _blockSize == 0 && TryReadWhole(slot, into))
        {
            return;
        }

        using BufferLease buffer = _buffers.Rent();
        int whole = (skip + into.Length + _blockSize - 1) / _blockSize * _blockSize;
        if (!TryReadWhole(slot, buffer.Span[..whole]))
        {
            throw new InvalidOperationException("a buffer of the pool is not aligned");
        }

        buffer.Span.Slice(skip, into.Length).CopyTo(into);
    }

    private bool TryReadWhole(int slot, Span<byte> into)
    {
        for (int done = 0; done < into.Length;)
        {
            if (!_ring.TryRead(slot + (done / _blockSize), into[done..], out int count))
            {
                return false;
            }

            done += count * _blockSize;
        }

        return true;
    }

    private static int SameLength(ReadOnlySpan<int> plan)
    {
        int other = plan.IndexOfAnyExcept(plan[0]);
        return other < 0 ? plan.Length : other;
    }

    /// <summary>How many of the slots are consecutive, from the first one on.</summary>
    internal static int RunLength(ReadOnlySpan<int> slots)
    {
        int count = 1;
        while (count < slots.Length && slots[count] == slots[0] + count)
        {
            count++;
        }

        return count;
    }
}

/// <summary>How full a store is.</summary>
/// <param name="UsedBytes">Bytes of kept blocks.</param>
/// <param name="CapBytes">The most it holds.</param>
/// <param name="BytesPerSecond">How fast it has been filling lately.</param>
internal readonly record struct StoreUsage(long UsedBytes, long CapBytes, double BytesPerSecond);
