using System.Diagnostics;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>Whether a snapshot is still sound, for those who want to be woken when it is not.</summary>
/// <remarks>Thread-safe. It takes no lock of anybody else's, so it may be told under any.</remarks>
internal sealed class SnapshotFate
{
    private readonly object _gate = new(); // a monitor, because watchers wait on it; guards the three below
    private string? _broken;
    private long _since;
    private bool _hasEnded;

    /// <summary>It broke.</summary>
    /// <returns>False when it was broken or ended before.</returns>
    internal bool TryBreak(string reason)
    {
        lock (_gate)
        {
            if (_broken is not null || _hasEnded)
            {
                return false;
            }

            _broken = reason;
            _since = Stopwatch.GetTimestamp();
            Monitor.PulseAll(_gate);
            return true;
        }
    }

    /// <summary>It was let go of.</summary>
    internal void End()
    {
        lock (_gate)
        {
            _since = _broken is null && !_hasEnded ? Stopwatch.GetTimestamp() : _since;
            _hasEnded = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Waits until it is broken or has ended.</summary>
    /// <returns>Why it broke; null when it ended sound.</returns>
    internal string? Wait()
    {
        lock (_gate)
        {
            while (_broken is null && !_hasEnded)
            {
                Monitor.Wait(_gate);
            }

            return _broken;
        }
    }

    /// <summary>How long ago it broke or ended; zero while it is sound.</summary>
    internal TimeSpan Ago()
    {
        lock (_gate)
        {
            return _since == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_since);
        }
    }
}
