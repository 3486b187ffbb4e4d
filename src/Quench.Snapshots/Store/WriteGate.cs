using System.Diagnostics;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Store;

/// <summary>
/// Counts the writes in flight, and can hold new ones until those have landed: the instant of a snapshot. Open, it costs a write two interlocked
/// additions and no lock.
/// </summary>
internal sealed class WriteGate
{
    private const long Closed = 1L << 62;

    private readonly object _monitor = new(); // writers and the closer wait on it
    private long _state;                      // writes in flight, plus Closed

    /// <summary>Told when a write is held on purpose; null for nobody. Set before the first write.</summary>
    internal Board? Watch { get; set; }

    /// <summary>Lets a write in, as soon as the gate is open.</summary>
    internal void Enter()
    {
        while ((Interlocked.Increment(ref _state) & Closed) != 0)
        {
            Leave();
            lock (_monitor)
            {
                Watch?.Hold(true);
                while ((Volatile.Read(ref _state) & Closed) != 0)
                {
                    Monitor.Wait(_monitor);
                }

                Watch?.Hold(false);
            }
        }
    }

    /// <summary>The write has landed, or failed.</summary>
    internal void Leave()
    {
        if (Interlocked.Decrement(ref _state) == Closed)
        {
            lock (_monitor)
            {
                Monitor.PulseAll(_monitor);
            }
        }
    }

    /// <summary>Closes the gate and waits until no write is in flight. It must be open. False, with the gate open, when they took too long.</summary>
    internal bool TryClose(TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_monitor)
        {
            Interlocked.Add(ref _state, Closed);
            while (Volatile.Read(ref _state) != Closed)
            {
                TimeSpan left = limit - Stopwatch.GetElapsedTime(since);
                if (left <= TimeSpan.Zero)
                {
                    OpenUnsynchronized();
                    return false;
                }

                Monitor.Wait(_monitor, left);
            }

            return true;
        }
    }

    /// <summary>Opens the closed gate.</summary>
    internal void Open()
    {
        lock (_monitor)
        {
            OpenUnsynchronized();
        }
    }

    private void OpenUnsynchronized()
    {
        Interlocked.Add(ref _state, -Closed);
        Monitor.PulseAll(_monitor);
    }
}
