using System.Diagnostics;

namespace Quench.Snapshots.Writes;

/// <summary>Turns the kernel's monotonic nanoseconds into times of the day. The two clocks are compared once, so a clock that is set meanwhile does not tear events apart.</summary>
internal sealed class MonotonicTime
{
    private readonly DateTimeOffset _origin;

    /// <summary>Compares the clocks.</summary>
    public MonotonicTime(TimeProvider clock)
    {
        long ticks = (long)(Stopwatch.GetTimestamp() * (TimeSpan.TicksPerSecond / (double)Stopwatch.Frequency)); // .NET's stopwatch is CLOCK_MONOTONIC
        _origin = clock.GetUtcNow() - new TimeSpan(ticks);
    }

    /// <summary>The time of an event.</summary>
    public DateTimeOffset At(ulong nanoseconds) => _origin + new TimeSpan((long)(nanoseconds / 100));
}
