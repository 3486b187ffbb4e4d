using Quench.Imaging.Activity;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class ActivityMonitorTests
{
    [Fact]
    public void Rate_and_remaining_time_follow_the_clock()
    {
        HandClock clock = new();
        ActivityMonitor activity = new(clock);
        activity.Begin(JobPhase.Imaging, 1000);
        Progress progress = default;
        for (int second = 0; second < 4; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            activity.Add(100);
            progress = activity.Read();
        }

        Assert.Equal(JobPhase.Imaging, progress.Phase);
        Assert.Equal(400, progress.BytesDone);
        Assert.Equal(100, progress.BytesPerSecond, 3);
        Assert.Equal(TimeSpan.FromSeconds(6), progress.Remaining);
        Assert.Equal(0.4, progress.Fraction, 3);
    }

    [Fact]
    public void The_rate_forgets_what_was_long_ago()
    {
        HandClock clock = new();
        ActivityMonitor activity = new(clock);
        activity.Begin(JobPhase.Imaging, 0);
        activity.Add(1_000_000);
        Progress progress = default;
        for (int second = 0; second < 60; second++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            activity.Add(10);
            progress = activity.Read();
        }

        Assert.Equal(10, progress.BytesPerSecond, 3);
    }

    [Fact]
    public void A_new_phase_counts_from_nothing()
    {
        HandClock clock = new();
        ActivityMonitor activity = new(clock);
        activity.Begin(JobPhase.Imaging, 100);
        activity.Add(100);
        activity.Begin(JobPhase.Proving, 50);
        Progress progress = activity.Read();
        Assert.Equal((JobPhase.Proving, 0L, 50L), (progress.Phase, progress.BytesDone, progress.BytesTotal));
        Assert.Null(progress.Remaining);
    }

    private sealed class HandClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks;
    }
}
