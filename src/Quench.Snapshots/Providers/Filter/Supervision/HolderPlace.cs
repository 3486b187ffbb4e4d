using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>A place for a worker in the holder: its board, the line to it, the program that is started there, and the process that is there now.</summary>
/// <remarks>For one thread. Made once, used for each worker that comes here; what the last one left unread is taken away first.</remarks>
internal sealed class HolderPlace : IDisposable
{
    private static readonly TimeSpan s_mayTakeToEnd = TimeSpan.FromSeconds(1);      // a worker that was killed
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(100); // between two looks at what is left of it
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_suspiciousSilence = TimeSpan.FromMilliseconds(500);

    private readonly SharedMemory _board = SharedMemory.Create("quench-board", Supervision.Board.Cells);
    private readonly SafeFileHandle _workersEnd;
    private readonly BoardWatch _watch;
    private ChildProgram? _program;
    private SafeFileHandle? _watched; // the process
    private TimeSpan? _lookAt;        // not null: it was killed, and from then on it is to be seen why it has not ended
    private TimeSpan _pause;

    internal HolderPlace(int threads, TimeSpan hangLimit)
    {
        (Line, _workersEnd) = MessagePair.Create();
        _watch = new BoardWatch(threads, hangLimit);
    }

    internal SafeFileHandle Line { get; }

    internal int BoardDescriptor => (int)_board.File.DangerousGetHandle();

    internal int WorkersEnd => (int)_workersEnd.DangerousGetHandle();

    /// <summary>The process that is here; 0 for none.</summary>
    internal int ProcessId { get; private set; }

    /// <summary>What to wait for in the process's stead; -1 when none is here.</summary>
    internal int ProcessDescriptor => _watched is null ? -1 : (int)_watched.DangerousGetHandle();

    /// <summary>Says what is started here.</summary>
    internal void Use(ChildProgram program) => _program = program;

    /// <summary>Starts a worker.</summary>
    internal void Spawn()
    {
        _board.Clear();
        Empty(Line);
        Empty(_workersEnd);
        ProcessId = _program!.Start();
        _watched = ChildProgram.Watch(ProcessId);
        _lookAt = null;
    }

    /// <summary>From now on the worker's signs of life count.</summary>
    internal void BeginWatch(TimeSpan now) => _watch.Begin(now);

    internal ChangeReason Look(TimeSpan now) => _watch.Look(_board, now);

    /// <summary>Kills the worker.</summary>
    internal void Kill(TimeSpan now)
    {
        ChildProgram.Kill(ProcessId);
        if (_lookAt is null)
        {
            _lookAt = now + s_mayTakeToEnd;
            _pause = s_firstPause;
        }
    }

    /// <summary>Whether the worker, which is silent, is ending without having been told to: somebody has killed it, or it has ended itself.</summary>
    internal bool IsEndingUntold(TimeSpan now) => _lookAt is null && _watch.Silence(now) > s_suspiciousSilence && WorkerRemains.HasBegunToEnd(ProcessId);

    /// <summary>Looks, now and then, at what is left of a worker that was killed and has not ended in time.</summary>
    /// <param name="now">The holder's waking time.</param>
    internal Remainder LookAtRemains(TimeSpan now)
    {
        if (ProcessId == 0 || _lookAt is not { } due || now < due)
        {
            return Remainder.Doubtful;
        }

        _lookAt = now + _pause;
        _pause = _pause * 2 < s_longestPause ? _pause * 2 : s_longestPause;
        return WorkerRemains.Look(ProcessId, _board);
    }

    /// <summary>Waits for the worker's real end.</summary>
    internal ChildEnd Reap()
    {
        ChildEnd end = ChildProgram.WaitForEnd(ProcessId);
        LetGo().Dispose();
        return end;
    }

    /// <summary>Makes room for another worker although this one has not ended. It can't touch the board and the line any more: its program does not run.</summary>
    /// <returns>What to wait for in its stead; the caller's from now on.</returns>
    internal SafeFileHandle LetGo()
    {
        SafeFileHandle watched = _watched!;
        _watched = null;
        ProcessId = 0;
        return watched;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _board.Dispose();
        Line.Dispose();
        _workersEnd.Dispose();
        _watched?.Dispose();
        _program?.Dispose();
    }

    private static void Empty(SafeFileHandle line)
    {
        while (LineMessage.Receive(line, wait: false).Word is not (LineWord.None or LineWord.Gone))
        {
            // What the last worker left here unread, or left unsaid.
        }
    }
}
