using Xunit;

namespace Quench.Tests.Faults;

/// <summary>A clock that moves only when it is told to; the timers that are due then run, each once, before <see cref="Advance"/> returns.</summary>
internal sealed class SteppedClock : TimeProvider
{
    private readonly Lock _gate = new(); // guards the two below
    private readonly List<Alarm> _alarms = [];
    private long _elapsed;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp()
    {
        lock (_gate)
        {
            return _elapsed;
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        Alarm alarm = new(this, () => callback(state));
        alarm.Change(dueTime, period);
        return alarm;
    }

    /// <summary>Lets time pass.</summary>
    public void Advance(TimeSpan time)
    {
        Alarm[] due;
        lock (_gate)
        {
            _elapsed += time.Ticks;
            due = [.. _alarms.Where(alarm => alarm.DueAt <= _elapsed)];
            _alarms.RemoveAll(due.Contains);
        }

        foreach (Alarm alarm in due)
        {
            alarm.Ring();
        }
    }

    private sealed class Alarm(SteppedClock clock, Action ring) : ITimer
    {
        public long DueAt { get; private set; }

        public void Ring() => ring();

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            Assert.Equal(Timeout.InfiniteTimeSpan, period); // whoever needs more has to build it
            lock (clock._gate)
            {
                clock._alarms.Remove(this);
                if (dueTime != Timeout.InfiniteTimeSpan)
                {
                    DueAt = clock._elapsed + dueTime.Ticks;
                    clock._alarms.Add(this);
                }
            }

            return true;
        }

        public void Dispose()
        {
            lock (clock._gate)
            {
                clock._alarms.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
