using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Blocks in a file that may be slow, fail, or never answer, without whoever saves them being the one who waits for it. A block counts as saved when it is
/// in locked memory; threads of this class write it to the file behind that.
/// </summary>
/// <remarks>
/// <code>
///   serving thread: origin ─▶ cell of the ring ─▶ saved, the write may land
///                                  │
///                                  ▼ neighbours together, up to 1 MiB
///   saver thread:              pwrite ─▶ file ─▶ cell free again          reader lane: pread ─▶ buffer of its own ─▶ whoever asked
/// </code>
/// <para><b>Who waits how long.</b> <see cref="Save"/> waits for the ring's room, at most the budget. A block is in the file within the handling limit, and a
/// read takes no longer. When one of these is passed, or the file fails a transfer, the file is given up: <c>failed</c> is told once, on whatever thread noticed it, and
/// every call from then on throws.</para>
/// <para><b>Threads.</b> All of it may be called from any thread. Two savers, and up to four readers that are started when they are needed.</para>
/// <para><b>The end.</b> <see cref="Dispose"/> never waits for the file. A thread that is stuck in the kernel is left behind with what it uses; the last thread to come
/// back frees the memory and closes the file, so that not even the closing can hold anybody up. Nothing in the file needs to be durable.</para>
/// </remarks>
internal sealed partial class SpillFile : IDisposable
{
    private const int Savers = 2;
    private const int TransferBytes = 1 << 20;
    private const int LookMilliseconds = 100;                             // how often the age of the oldest block is looked at
    private static readonly TimeSpan s_linger = TimeSpan.FromMilliseconds(20); // how long a few blocks wait for more, to be written together
    private static readonly TimeSpan s_farewell = TimeSpan.FromMilliseconds(250);

    private readonly SafeFileHandle _file;
    private readonly SpillSettings _settings;
    private readonly Action<string> _failed;
    private readonly Action<string> _report;
    private readonly Board? _board;
    private readonly NativeBuffer _cells;
    private readonly ITimer _watch;
    private readonly int _batch;       // cells that are worth a write of their own

    private readonly object _gate = new();     // a monitor, because savers and savings wait on it; guards the seven below
    private readonly SpillRing _ring;
    private int _users = 1 + Savers;           // the owner and the threads: the last one frees
    private int _waitingForRoom;
    private int _inKernel;                     // threads that are in a transfer
    private bool _closed;
    private string? _trouble;                  // why the file was given up: the first reason
    private TimeSpan _longestHandling;

    /// <summary>Takes the memory and starts the savers.</summary>
    /// <param name="file">Open for reading and writing; owned from now on.</param>
    /// <param name="settings">Sizes and limits.</param>
    /// <param name="failed">Told once why the file was given up; called without any lock of this class.</param>
    /// <param name="report">Told what an operator should know of threads that hang; must not throw.</param>
    /// <param name="board">Told of each transfer, so that one that hangs is known not to be the origin's; null for nobody.</param>
    internal SpillFile(SafeFileHandle file, SpillSettings settings, Action<string> failed, Action<string> report, Board? board = null)
    {
        _board = board;
        _file = file;
        _settings = settings;
        _failed = failed;
        _report = report;
        _cells = new NativeBuffer(settings.RingBytes, locked: true);
        _ring = new SpillRing(settings.RingBytes / settings.BlockSize, Savers);
        _batch = Math.Max(1, Math.Min(TransferBytes / 4 / settings.BlockSize, _ring.Capacity / 4));
        TimeSpan look = TimeSpan.FromMilliseconds(LookMilliseconds);
        _watch = TimeProvider.System.CreateTimer(static self => ((SpillFile)self!).Look(), this, look, look);
        for (int saver = 0; saver < Savers; saver++)
        {
            new Thread(WriteOn) { IsBackground = true, Name = "spill-saver" }.Start();
        }
    }

    /// <summary>Whether somebody waits for room right now.</summary>
    internal bool IsStalled
    {
        get
        {
            lock (_gate)
            {
                return _waitingForRoom > 0;
            }
        }
    }

    /// <summary>The longest that a block has been on its way to the file, one that is on its way now included.</summary>
    internal TimeSpan LongestHandling
    {
        get
        {
            lock (_gate)
            {
                TimeSpan now = _ring.OldestFilledAt is { } since ? Stopwatch.GetElapsedTime(since) : TimeSpan.Zero;
                return now > _longestHandling ? now : _longestHandling;
            }
        }
    }

    /// <summary>Whether all that was saved is in the file.</summary>
    internal bool IsIdle
    {
        get
        {
            lock (_gate)
            {
                return _ring.IsEmpty;
            }
        }
    }

    /// <summary>Whether the memory is free and the file closed.</summary>
    internal bool IsGivenBack
    {
        get
        {
            lock (_gate)
            {
                return _users == 0;
            }
        }
    }

    /// <summary>Copies old bytes from the origin into memory, from where they go to neighbouring slots of the file.</summary>
    /// <param name="origin">Read on the calling thread.</param>
    /// <param name="from">Whole blocks; the last one may be cut at the volume's end.</param>
    /// <param name="firstSlot">The slot of the first block, counted from the start of the file.</param>
    /// <param name="waited">How long the caller's saving has waited so far; grows here by what it waits more.</param>
    /// <exception cref="IOException">The file was given up, now or before; or the origin can't be read.</exception>
    internal void Save(Disk origin, Extent from, long firstSlot, ref TimeSpan waited)
    {
        for (long done = 0; done < from.Length;)
        {
            long left = from.Length - done;
            (long position, int count) = Reserve((int)((left + _settings.BlockSize - 1) / _settings.BlockSize), ref waited);
            Span<byte> cells = Cells(position, count);
            int length = (int)Math.Min(left, cells.Length);
            try
            {
                origin.Read(from.Offset + done, cells[..length]);
            }
            catch
            {
                lock (_gate)
                {
                    _ring.Abandon(position, count);
                }

                throw;
            }

            cells[length..].Clear();
            Publish(new SpillRun(position, firstSlot + (done / _settings.BlockSize), count));
            done += length;
        }
    }

    /// <summary>Gives the file up: whoever waits for it goes on at once, with an exception.</summary>
    internal void Cancel()
    {
        lock (_gate)
        {
            GiveUpUnsynchronized("the snapshot has ended");
        }
    }

    /// <summary>Lets go of it; nobody may be saving or reading any more. Waits a quarter of a second at most, to say what is left behind.</summary>
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
            GiveUpUnsynchronized("the snapshot has ended");
            _users--;
            long since = Stopwatch.GetTimestamp();
            for (TimeSpan left = s_farewell; _users > 0 && left > TimeSpan.Zero; left = s_farewell - Stopwatch.GetElapsedTime(since))
            {
                Monitor.Wait(_gate, left);
            }

            if (_inKernel > 0)
            {
                _report($"the diff area's disk does not answer: {_inKernel} transfers are left behind, with {ByteSize.Format(_settings.RingBytes)} of memory until they come back");
            }
        }
    }

    private (long Position, int Count) Reserve(int wanted, ref TimeSpan waited)
    {
        string? trouble;
        lock (_gate)
        {
            while (true)
            {
                ThrowIfGivenUp();
                if (_ring.TryReserve(wanted, out long position, out int count))
                {
                    return (position, count);
                }

                TimeSpan left = _settings.Budget - waited;
                if (left < TimeSpan.FromMilliseconds(1))
                {
                    trouble = $"a write had waited {_settings.Budget.TotalMilliseconds:0} ms for the spill file, and {ByteSize.Format(_settings.RingBytes)} wait to be written to it";
                    GiveUpUnsynchronized(trouble);
                    break;
                }

                waited += WaitForRoom(left);
            }
        }

        _failed(trouble);
        throw new IOException(trouble);
    }

    private TimeSpan WaitForRoom(TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        _waitingForRoom++;
        Monitor.PulseAll(_gate); // savers that linger
        Monitor.Wait(_gate, limit);
        _waitingForRoom--;
        return Stopwatch.GetElapsedTime(since);
    }

    private void Publish(SpillRun run)
    {
        lock (_gate)
        {
            int before = _ring.Backlog;
            _ring.Fill(run, Stopwatch.GetTimestamp());
            if (before == 0 || (before < _batch && _ring.Backlog >= _batch))
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>A saver's life.</summary>
    private void WriteOn()
    {
        while (TryTakeRun(out SpillRun run))
        {
            long since = Stopwatch.GetTimestamp();
            string? trouble = null;
            _board?.BeginSpill();
            try
            {
                NativeFile.Write(_file, Cells(run.Position, run.Count), run.FirstSlot * _settings.BlockSize);
            }
            catch (IOException failure)
            {
                trouble = $"the spill file can't be written: {failure.Message}";
            }

            _board?.EndSpill();
            if (!TryFinish(run, trouble is null, since))
            {
                GiveUp(trouble!);
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
                if (_trouble is null && isDue && _ring.TryTakeRun(TransferBytes / _settings.BlockSize, out run))
                {
                    _inKernel++;
                    return true;
                }

                // With nothing to do, or nothing that may be done now, until somebody pulses; with a few blocks, a little for more of them.
                bool lingers = _trouble is null && _ring.Backlog > 0 && !isDue;
                Monitor.Wait(_gate, lingers ? s_linger : Timeout.InfiniteTimeSpan);
                isDue = lingers;
            }

            run = default;
            return false;
        }
    }

    /// <summary>Books a write.</summary>
    /// <returns>Whether it was a good one.</returns>
    private bool TryFinish(SpillRun run, bool isWritten, long since)
    {
        lock (_gate)
        {
            TellIfLate(since);
            if (isWritten)
            {
                TimeSpan handled = Stopwatch.GetElapsedTime(_ring.Complete(run));
                _longestHandling = handled > _longestHandling ? handled : _longestHandling;
                if (_waitingForRoom > 0 || _ring.Backlog > 0)
                {
                    Monitor.PulseAll(_gate);
                }
            }
        }

        return isWritten;
    }

    /// <summary>Leaves the kernel; says so if it was abandoned there.</summary>
    private void TellIfLate(long since)
    {
        _inKernel--;
        TimeSpan stayed = Stopwatch.GetElapsedTime(since);
        if (_closed && stayed > s_farewell)
        {
            _report($"a transfer of a diff area that was given up came back after {stayed.TotalSeconds:0.0} s");
        }
    }

    /// <summary>Gives the file up when a block is on its way for too long.</summary>
    private void Look()
    {
        bool isLate;
        lock (_gate)
        {
            isLate = _trouble is null && _ring.OldestFilledAt is { } since
                && Stopwatch.GetElapsedTime(since) > _settings.HandlingLimit - TimeSpan.FromMilliseconds(2 * LookMilliseconds);
        }

        if (isLate)
        {
            GiveUp($"a saved block has been on its way to the spill file for {_settings.HandlingLimit.TotalSeconds:0.#} s");
        }
    }

    /// <summary>Gives the file up and tells the owner, if nobody has before.</summary>
    private void GiveUp(string trouble)
    {
        bool isFirst;
        lock (_gate)
        {
            isFirst = GiveUpUnsynchronized(trouble);
        }

        if (isFirst)
        {
            _failed(trouble);
        }
    }

    private bool GiveUpUnsynchronized(string trouble)
    {
        bool isFirst = _trouble is null;
        _trouble ??= trouble;
        Monitor.PulseAll(_gate);
        WakeReaders();
        return isFirst;
    }

    private void ThrowIfGivenUp()
    {
        if (_trouble is not null)
        {
            throw new IOException(_trouble);
        }
    }

    /// <summary>A thread, or the owner, needs nothing any more. The last one frees everything, on a thread where nobody waits for it.</summary>
    private void Leave()
    {
        bool isLast;
        lock (_gate)
        {
            isLast = --_users == 0;
        }

        if (isLast)
        {
            ((IDisposable)_cells).Dispose();
            FreeReaders();
            _board?.BeginSpill();
            _file.Dispose();
            _board?.EndSpill();
        }

        lock (_gate)
        {
            Monitor.PulseAll(_gate);
        }
    }

    private Span<byte> Cells(long position, int count) =>
        _cells.GetSpan().Slice(_ring.CellOf(position) * _settings.BlockSize, count * _settings.BlockSize);
}
