using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>A place for a worker in the holder: its board, the line to it, the program that is started there, and the process that is there now.</summary>
/// <remarks>For one thread. Made once, used for each worker that comes here; what the last one left unread is taken away first.</remarks>
internal sealed class HolderPlace : IDisposable
{
    private readonly SharedMemory _board = SharedMemory.Create("quench-board", Supervision.Board.Cells);
    private readonly SafeFileHandle _workersEnd;
    private readonly BoardWatch _watch;
    private ChildProgram? _program;
    private SafeFileHandle? _watched; // the process

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
    }

    /// <summary>From now on the worker's signs of life count.</summary>
    internal void BeginWatch(TimeSpan now) => _watch.Begin(now);

    internal ChangeReason Look(TimeSpan now) => _watch.Look(_board, now);

    /// <summary>Waits for the worker's real end.</summary>
    internal ChildEnd Reap()
    {
        ChildEnd end = ChildProgram.WaitForEnd(ProcessId);
        _watched?.Dispose();
        _watched = null;
        ProcessId = 0;
        return end;
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
