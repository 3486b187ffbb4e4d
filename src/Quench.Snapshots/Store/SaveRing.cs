using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Store;

/// <summary>
/// Writes kept blocks to the store's data file behind those who save them. A block counts as kept when it is in the ring, whose memory outlives the process; threads of this class
/// write it to the file after that.
/// </summary>
/// <remarks>
/// <code>
///   writer of the volume:   origin ─▶ cell of the ring ─▶ entry in the table: the write may land
///                                          │
///                                          ▼ neighbours together, up to 1 MiB
///   saver thread (2):                   pwrite ─▶ data file ─▶ cell free again
/// </code>
/// <para>A writer waits for room in the ring, at most the budget. What the file does not take is told with its slots, before anybody could read them from the file; a block that is on its way for
/// longer than the handling limit is told too. Both cost snapshots: that is the owner's to do. The ring goes on in either case, so that a disk that comes back is used again.</para>
/// <para>Thread-safe. <see cref="Dispose"/> never waits long for the file: a thread that is stuck in the kernel is left behind with what it uses.</para>
/// </remarks>
internal sealed class SaveRing : IDisposable
{
    private const int Savers = 2;
    private const int TransferBytes = 1 << 20;
    private const int LookMilliseconds = 100;                                  // how often the age of the oldest block is looked at
    private static readonly TimeSpan s_linger = TimeSpan.FromMilliseconds(20); // how long a few blocks wait for more, to be written together
    private static readonly TimeSpan s_farewell = TimeSpan.FromMilliseconds(250);

    private readonly StoreBlocks _blocks;
    private readonly SpillSettings _limits;
    private readonly Func<SpillRun, IOException, bool> _tryLose;
    private readonly Action _late;
    private readonly ITimer _watch;
    private readonly int _batch;       // cells that are worth a write of their own

    private readonly object _gate = new();     // a monitor, because savers and savings wait on it; guards the four below
    private readonly SpillRing _ring;
    private int _users = 1 + Savers;           // the owner and the threads: the last one frees
    private int _waitingForRoom;
    private bool _closed;

    /// <summary>Takes up what is in the ring, and starts the savers.</summary>
    /// <param name="blocks">Data file and ring; owned from now on.</param>
    /// <param name="isTaken">Whether the table says that a slot is taken.</param>
    /// <param name="limits">How long writers wait, and how long a block may be on its way.</param>
    /// <param name="tryLose">
    /// Told, without any lock of this class, that the file did not take a run of slots. Until it returns, readers find their content in the ring. When it answers false, the content stays there.
    /// </param>
    /// <param name="late">Told, again and again as long as it is so, that a block is on its way for too long.</param>
    internal SaveRing(StoreBlocks blocks, Func<int, bool> isTaken, SpillSettings limits, Func<SpillRun, IOException, bool> tryLose, Action late)
    {
        _blocks = blocks;
        _limits = limits;
        _tryLose = tryLose;
        _late = late;
        _ring = new SpillRing(blocks.Ring.Cells, Savers, blocks.Ring);
        _ring.Adopt(blocks.Ring.Adopt(isTaken), Stopwatch.GetTimestamp());
        _batch = Math.Max(1, Math.Min(TransferBytes / 4 / blocks.BlockSize, _ring.Capacity / 4));
        TimeSpan look = TimeSpan.FromMilliseconds(LookMilliseconds);
        _watch = TimeProvider.System.CreateTimer(static self => ((SaveRing)self!).Look(), this, look, look);
        for (int saver = 0; saver < Savers; saver++)
        {
            new Thread(WriteOn) { IsBackground = true, Name = "store-saver" }.Start();
        }
    }

    /// <summary>Told when a writer waits on purpose; null for nobody. Set before the first write.</summary>
    internal Board? Watch { get; set; }

    /// <summary>Copies old bytes from the origin into the ring, for their slots.</summary>
    /// <param name="origin">Read on the calling thread.</param>
    /// <param name="from">Whole blocks; the last one may be cut at the volume's end.</param>
    /// <param name="slots">Where they go, in order.</param>
    /// <param name="waited">How long the caller's write has waited so far; grows by what it waits more.</param>
    /// <returns>False when there was no room within the budget.</returns>
    /// <exception cref="IOException">The origin can't be read.</exception>
    internal bool TrySave(Disk origin, Extent from, ReadOnlySpan<int> slots, ref TimeSpan waited)
    {
        for (int done = 0; done < slots.Length;)
        {
            if (!TryReserve(slots.Length - done, out long position, out int count, ref waited))
            {
                return false;
            }

            Fill(origin, Extent.FromTo(from.Offset + ((long)done * _blocks.BlockSize), from.End), position, slots.Slice(done, count));
            done += count;
        }

        return true;
    }

    /// <summary>Reads blocks from consecutive slots, as many as lie together.</summary>
    /// <param name="slot">The first one.</param>
    /// <param name="into">Whole blocks.</param>
    /// <param name="count">How many blocks were read; at least one.</param>
    /// <returns>False when the memory is not aligned for direct I/O: read into other memory then.</returns>
    /// <exception cref="IOException">The data file can't be read, or the store is closed.</exception>
    internal bool TryRead(int slot, Span<byte> into, out int count)
    {
        lock (_gate)
        {
            if (_closed)
            {
                throw new IOException("the store is closed");
            }

            _users++; // memory and file stay until we are done
        }

        try
        {
            while (true)
            {
                long position;
                lock (_gate)
                {
                    count = _ring.Find(slot, into.Length / _blocks.BlockSize, out position);
                }

                Span<byte> part = into[..(count * _blocks.BlockSize)];
                if (position < 0)
                {
                    return _blocks.TryRead(slot, part);
                }

                if (TryCopy(slot, position, count, part))
                {
                    return true;
                }
            }
        }
        finally
        {
            Leave();
        }
    }

    /// <summary>Waits until all that was saved is in the file. False when it is not there in time.</summary>
    internal bool TryDrain(TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (!_ring.IsEmpty)
            {
                TimeSpan left = limit - Stopwatch.GetElapsedTime(since);
                if (left < TimeSpan.FromMilliseconds(1))
                {
                    return false;
                }

                Monitor.Wait(_gate, left);
            }

            return true;
        }
    }

    /// <summary>Lets go of it; nobody may be saving. What is in the ring stays there for whoever takes the store up next.</summary>
    public void Dispose()
    {
        _watch.Dispose();
        lock (_gate)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            Monitor.PulseAll(_gate);
            long since = Stopwatch.GetTimestamp();
            for (TimeSpan left = s_farewell; _users > 1 && left > TimeSpan.Zero; left = s_farewell - Stopwatch.GetElapsedTime(since))
            {
                Monitor.Wait(_gate, left);
            }
        }

        Leave();
    }

    private bool TryReserve(int wanted, out long position, out int count, ref TimeSpan waited)
    {
        lock (_gate)
        {
            while (!_ring.TryReserve(wanted, out position, out count))
            {
                TimeSpan left = _limits.Budget - waited;
                if (left < TimeSpan.FromMilliseconds(1))
                {
                    return false;
                }

                waited += WaitForRoom(left);
            }

            return true;
        }
    }

    private TimeSpan WaitForRoom(TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        _waitingForRoom++;
        Monitor.PulseAll(_gate); // savers that linger
        Watch?.Hold(true);
        Monitor.Wait(_gate, limit);
        Watch?.Hold(false);
        _waitingForRoom--;
        return Stopwatch.GetElapsedTime(since);
    }

    private void Fill(Disk origin, Extent from, long position, ReadOnlySpan<int> slots)
    {
        Span<byte> cells = Cells(position, slots.Length).Span;
        int there = (int)Math.Min(from.Length, cells.Length);
        try
        {
            origin.Read(from.Offset, cells[..there]);
        }
        catch
        {
            lock (_gate)
            {
                _ring.Abandon(position, slots.Length);
            }

            throw;
        }

        cells[there..].Clear(); // the volume's last block may be a short one
        lock (_gate)
        {
            int before = _ring.Backlog;
            for (int index = 0; index < slots.Length;)
            {
                int count = SnapshotStore.RunLength(slots[index..]);
                _ring.Fill(new SpillRun(position + index, slots[index], count), Stopwatch.GetTimestamp());
                index += count;
            }

            if (before == 0 || (before < _batch && _ring.Backlog >= _batch))
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Copies from the ring, without holding anybody up.</summary>
    /// <returns>False when a cell moved on meanwhile: look again.</returns>
    private bool TryCopy(int slot, long position, int count, Span<byte> into)
    {
        Cells(position, count).Span.CopyTo(into);
        lock (_gate)
        {
            for (int index = 0; index < count; index++)
            {
                if (!_ring.IsAt(slot + index, position + index))
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>A saver's life.</summary>
    private void WriteOn()
    {
        while (TryTakeRun(out SpillRun run))
        {
            try
            {
                _blocks.Write((int)run.FirstSlot, Cells(run.Position, run.Count).Span);
            }
            catch (IOException failure)
            {
                if (!_tryLose(run, failure)) // before the ring forgets it: from then on whoever needs it is told that it is gone
                {
                    break;
                }
            }

            lock (_gate)
            {
                _ring.Complete(run);
                Monitor.PulseAll(_gate);
            }
        }

        Leave();
    }

    private bool TryTakeRun(out SpillRun run)
    {
        lock (_gate)
        {
            bool isDue = false;
            while (!_closed)
            {
                isDue |= _ring.Backlog >= _batch || _waitingForRoom > 0;
                if (isDue && _ring.TryTakeRun(TransferBytes / _blocks.BlockSize, out run))
                {
                    return true;
                }

                // With nothing to do, or nothing that may be done now, until somebody pulses; with a few blocks, a little for more of them.
                bool lingers = _ring.Backlog > 0 && !isDue;
                Monitor.Wait(_gate, lingers ? s_linger : Timeout.InfiniteTimeSpan);
                isDue = lingers;
            }

            run = default;
            return false;
        }
    }

    /// <summary>Tells when a block is on its way for too long.</summary>
    private void Look()
    {
        bool isLate;
        lock (_gate)
        {
            isLate = !_closed && _ring.OldestFilledAt is { } since && Stopwatch.GetElapsedTime(since) > _limits.HandlingLimit;
        }

        if (isLate)
        {
            _late();
        }
    }

    /// <summary>A thread, or the owner, needs nothing any more. The last one frees everything.</summary>
    private void Leave()
    {
        bool isLast;
        lock (_gate)
        {
            isLast = --_users == 0;
            Monitor.PulseAll(_gate);
        }

        if (isLast)
        {
            _blocks.Dispose();
        }
    }

    private Memory<byte> Cells(long position, int count) => _blocks.Ring.At(_ring.CellOf(position), count);
}
