using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What a thread of a worker is at, in the lowest bits of its cell on the board.</summary>
internal enum CellState
{
    /// <summary>Waits for a request.</summary>
    Idle = 0,

    /// <summary>Has a request.</summary>
    Busy = 1,

    /// <summary>Has a request and is in the kernel with I/O to the origin.</summary>
    InOrigin = 2,

    /// <summary>Has a request and waits on purpose, for a limited time.</summary>
    Holding = 3,
}

/// <summary>What a thread is in the kernel for.</summary>
internal enum Whereabouts
{
    /// <summary>Nothing that the board is told of: it can't be writing the origin.</summary>
    Elsewhere = 0,

    /// <summary>I/O to the origin.</summary>
    Origin = 1,

    /// <summary>I/O to a spill file, which has no name and is used by no other process.</summary>
    SpillFile = 2,
}

/// <summary>
/// A worker's signs of life, in memory that the holder reads. No clock is in it: a cell changes whenever something goes on, and the holder measures
/// with its own clock how long it did not.
/// </summary>
/// <remarks>
/// <code>
/// cell     0              8                16              24           520
///          ├ heartbeat ───┼ thread 0 ──────┼ thread 1 ─────┼ …    ──────┼ 32 guests ┼ transfers of guests that found no place ┤
///                          each in a cache line of its own
/// thread   ├ count of changes (62 bits) ─┼ state (2) ┤ the kernel's number of it (64) ┤
/// guest    ├ what it is at (32) ┼ the kernel's number of it (32) ┤       0: nobody
/// </code>
/// <para>A guest is a thread that serves no request of the volume and is in the kernel with I/O to the origin, or to a spill file. Only
/// <see cref="WorkerRemains"/> looks at guests, and at the numbers: when the worker was killed, and does not end.</para>
/// Thread-safe: each cell has one writer, and a guest's place is taken by exchange.
/// </remarks>
internal sealed class Board(SharedMemory memory) : IRequestWatch, ITransferWatch
{
    internal const int MaxThreads = 64;
    internal const int MaxGuests = 32;
    internal const int Cells = CellsInLine * (1 + MaxThreads) + MaxGuests + CellsInLine;

    private const int CellsInLine = 8;
    private const int StateBits = 2;
    private const int StateMask = 3;
    private const int FirstGuest = CellsInLine * (1 + MaxThreads);
    private const int Unplaced = FirstGuest + MaxGuests;
    private const int KindShift = 32;

    [ThreadStatic]
    private static int t_cell;   // of the calling thread; 0 when it serves no requests

    [ThreadStatic]
    private static int t_number; // the kernel's, of the calling thread; 0 when nobody has asked yet

    [ThreadStatic]
    private static int t_guest;  // the calling thread's place as a guest; 0 for none

    internal static int CellOf(int thread) => CellsInLine * (1 + thread);

    internal static CellState StateOf(long cell) => (CellState)(cell & StateMask);

    /// <summary>What a thread of the worker was last known to be at in the kernel. Final as soon as the thread can't return to its program any more.</summary>
    /// <param name="memory">The board's memory.</param>
    /// <param name="number">The kernel's number of the thread.</param>
    internal static Whereabouts WhereaboutsOf(SharedMemory memory, int number)
    {
        if (Volatile.Read(ref memory[Unplaced]) != 0)
        {
            return Whereabouts.Origin; // it may be one of those that found no place
        }

        for (int cell = CellOf(0); cell < FirstGuest; cell += CellsInLine)
        {
            if (memory[cell + 1] == number && StateOf(Volatile.Read(ref memory[cell])) == CellState.InOrigin)
            {
                return Whereabouts.Origin;
            }
        }

        for (int guest = FirstGuest; guest < Unplaced; guest++)
        {
            long there = Volatile.Read(ref memory[guest]);
            if ((there & uint.MaxValue) == number)
            {
                return (Whereabouts)(there >> KindShift);
            }
        }

        return Whereabouts.Elsewhere;
    }

    /// <summary>The worker is alive.</summary>
    internal void Beat() => Volatile.Write(ref memory[0], unchecked(memory[0] + 1));

    /// <inheritdoc/>
    public void Taken(int thread)
    {
        t_cell = CellOf(thread);
        memory[t_cell + 1] = Number();
        Change(CellState.Busy);
    }

    /// <inheritdoc/>
    public void Answered(int thread) => Change(CellState.Idle);

    /// <inheritdoc/>
    public void Begin()
    {
        if (t_cell == 0)
        {
            Come(Whereabouts.Origin);
        }

        Change(CellState.InOrigin);
    }

    /// <inheritdoc/>
    public void End()
    {
        Change(CellState.Busy);
        if (t_cell == 0)
        {
            Leave();
        }
    }

    /// <summary>The calling thread, which serves no request, goes into the kernel with I/O to a spill file.</summary>
    internal void BeginSpill() => Come(Whereabouts.SpillFile);

    /// <summary>It has come back.</summary>
    internal void EndSpill() => Leave();

    /// <summary>The calling thread waits on purpose from now on, or has ended that. Whoever says so limits the wait itself.</summary>
    internal void Hold(bool holding) => Change(holding ? CellState.Holding : CellState.Busy);

    private static int Number() => t_number != 0 ? t_number : t_number = ProcessControl.ThreadNumber;

    /// <summary>Takes a guest's place. The mark is there before the kernel has the transfer: a thread that sleeps there has been seen by every processor.</summary>
    private void Come(Whereabouts where)
    {
        int number = Number();
        long mark = ((long)where << KindShift) | (uint)number;
        for (int tried = 0; tried < MaxGuests; tried++)
        {
            int guest = FirstGuest + ((number + tried) % MaxGuests);
            if (Volatile.Read(ref memory[guest]) == 0 && Interlocked.CompareExchange(ref memory[guest], mark, 0) == 0)
            {
                t_guest = guest;
                return;
            }
        }

        Interlocked.Increment(ref memory[Unplaced]);
    }

    private void Leave()
    {
        if (t_guest != 0)
        {
            Volatile.Write(ref memory[t_guest], 0);
            t_guest = 0;
        }
        else
        {
            Interlocked.Decrement(ref memory[Unplaced]);
        }
    }

    private void Change(CellState state)
    {
        int cell = t_cell;
        if (cell != 0)
        {
            ref long at = ref memory[cell];
            Volatile.Write(ref at, unchecked((((at >> StateBits) + 1) << StateBits) | (long)state));
        }
    }
}
