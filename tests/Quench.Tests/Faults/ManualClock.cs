namespace Quench.Tests.Faults;

/// <summary>A clock that shows what it is told. Whoever waits on it has waited at once: it jumps ahead to the end of every delay.</summary>
internal sealed class ManualClock(DateTimeOffset now) : TimeProvider
{
    private readonly Lock _gate = new(); // guards the two below
    private DateTimeOffset _now = now;
    private long _elapsed;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Sets the clock, as somebody with the date command would: elapsed time does not move.</summary>
    public void Set(DateTimeOffset now)
    {
        lock (_gate)
        {
            _now = now;
        }
    }

    /// <summary>Lets time pass.</summary>
    public void Advance(TimeSpan time)
    {
        lock (_gate)
        {
            _now += time;
            _elapsed += time.Ticks;
        }
    }

    public override DateTimeOffset GetUtcNow()
    {
        lock (_gate)
        {
            return _now;
        }
    }

    public override long GetTimestamp()
    {
        lock (_gate)
        {
            return _elapsed;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        if (dueTime >= TimeSpan.Zero)
        {
            Advance(dueTime);
            ThreadPool.QueueUserWorkItem(_ => callback(state));
        }

        return new Fired();
    }

    private sealed class Fired : ITimer
    {
        public bool Change(TimeSpan dueTime, TimeSpan period) => false;

        public void Dispose()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
