using Quench.Imaging.Activity;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class ActivityMonitorTests
{
    [Fact]
    public void Rate_and_remaining_time_follow_the_clock()
    {
        SteppedClock clock = new();
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
        SteppedClock clock = new();
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
        SteppedClock clock = new();
        ActivityMonitor activity = new(clock);
        activity.Begin(JobPhase.Imaging, 100);
        activity.Add(100);
        activity.Begin(JobPhase.Proving, 50);
        Progress progress = activity.Read();
        Assert.Equal((JobPhase.Proving, 0L, 50L), (progress.Phase, progress.BytesDone, progress.BytesTotal));
        Assert.Null(progress.Remaining);
    }
}
