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

/// <summary>
/// A worker's signs of life, in memory that the holder reads. No clock is in it: a cell changes whenever something goes on, and the holder measures
/// with its own clock how long it did not.
/// </summary>
/// <remarks>
/// <code>
/// cell     0              8                16              24
///          ├ heartbeat ───┼ thread 0 ──────┼ thread 1 ─────┼ …      each in a cache line of its own
/// thread   ├ count of changes (62 bits) ─┼ state (2) ┤
/// </code>
/// Thread-safe: each cell has one writer.
/// </remarks>
internal sealed class Board(SharedMemory memory) : IRequestWatch, ITransferWatch
{
    internal const int MaxThreads = 64;
    internal const int Cells = CellsInLine * (1 + MaxThreads);

    private const int CellsInLine = 8;
    private const int StateBits = 2;
    private const int StateMask = 3;

    [ThreadStatic]
    private static int t_cell; // of the calling thread; 0 when it serves no requests

    internal static int CellOf(int thread) => CellsInLine * (1 + thread);

    internal static CellState StateOf(long cell) => (CellState)(cell & StateMask);

    /// <summary>The worker is alive.</summary>
    internal void Beat() => Volatile.Write(ref memory[0], unchecked(memory[0] + 1));

    /// <inheritdoc/>
    public void Taken(int thread)
    {
        t_cell = CellOf(thread);
        Change(CellState.Busy);
    }

    /// <inheritdoc/>
    public void Answered(int thread) => Change(CellState.Idle);

    /// <inheritdoc/>
    public void Begin() => Change(CellState.InOrigin);

    /// <inheritdoc/>
    public void End() => Change(CellState.Busy);

    /// <summary>The calling thread waits on purpose from now on, or has ended that. Whoever says so limits the wait itself.</summary>
    internal void Hold(bool holding) => Change(holding ? CellState.Holding : CellState.Busy);

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
