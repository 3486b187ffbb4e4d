using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>
/// Judges a worker by its <see cref="Board"/>. A worker hangs when its heartbeat stands still, or when a request makes no progress although the
/// origin's disk is not to blame: the thread is not in I/O to the origin, and no other one has been in the same I/O for so long that the request may
/// be waiting for it.
/// </summary>
/// <remarks>For one thread. Allocates nothing after it was made.</remarks>
internal sealed class BoardWatch(int threads, TimeSpan limit)
{
    private const int SlowShare = 4; // a transfer that takes a quarter of the limit is a slow disk

    private readonly long[] _seen = new long[1 + threads];
    private readonly TimeSpan[] _since = new TimeSpan[1 + threads]; // when the value was first seen

    /// <summary>A new worker: nothing is known of it.</summary>
    internal void Begin(TimeSpan now)
    {
        Array.Clear(_seen);
        Array.Fill(_since, now);
    }

    /// <summary>How long there has been no heartbeat, as of the last look.</summary>
    internal TimeSpan Silence(TimeSpan now) => now - _since[0];

    /// <summary>Looks at the board.</summary>
    /// <param name="memory">The board's memory.</param>
    /// <param name="now">The holder's waking time.</param>
    /// <returns>None when all is well; RequestStuck or Silent.</returns>
    internal ChangeReason Look(SharedMemory memory, TimeSpan now)
    {
        bool diskIsSlow = false;
        bool stuck = false;
        for (int index = 0; index < _seen.Length; index++)
        {
            long cell = Volatile.Read(ref memory[index == 0 ? 0 : Board.CellOf(index - 1)]);
            if (cell != _seen[index])
            {
                _seen[index] = cell;
                _since[index] = now;
            }

            TimeSpan still = now - _since[index];
            CellState state = index == 0 ? CellState.Idle : Board.StateOf(cell);
            diskIsSlow |= state == CellState.InOrigin && still > limit / SlowShare;
            stuck |= state == CellState.Busy && still > limit;
        }

        return now - _since[0] > limit ? ChangeReason.Silent
            : stuck && !diskIsSlow ? ChangeReason.RequestStuck : ChangeReason.None;
    }
}
