using System.Diagnostics;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Who may have the volume's one snapshot. A holder that was killed is noticed only when its connection has ended, some milliseconds later;
/// so whoever comes next waits a little before it is refused.
/// </summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class SnapshotTurn
{
    private readonly object _gate = new(); // a monitor, because the next one waits on it; guards the one below
    private bool _isTaken;

    /// <summary>Takes the turn, waiting until it is free.</summary>
    /// <param name="patience">How long to wait for the one who has it.</param>
    /// <returns>False when somebody else still has it then.</returns>
    internal bool TryTake(TimeSpan patience)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (_isTaken)
            {
                TimeSpan left = patience - Stopwatch.GetElapsedTime(since);
                if (left <= TimeSpan.Zero)
                {
                    return false;
                }

                Monitor.Wait(_gate, left);
            }

            _isTaken = true;
            return true;
        }
    }

    /// <summary>Gives the turn back. Only who has it may.</summary>
    internal void Release()
    {
        lock (_gate)
        {
            _isTaken = false;
            Monitor.Pulse(_gate);
        }
    }
}
