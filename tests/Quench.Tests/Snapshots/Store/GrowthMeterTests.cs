using Quench.Snapshots.Store;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>How fast a store fills.</summary>
public sealed class GrowthMeterTests
{
    private readonly ManualClock _clock = new(DateTimeOffset.UnixEpoch);

    [Fact]
    public void Nothing_is_said_before_time_has_passed() => Assert.Equal(0, new GrowthMeter(_clock).PerSecond(100));

    [Fact]
    public void A_steady_rate_is_found_and_an_old_one_forgotten()
    {
        GrowthMeter meter = new(_clock);
        long total = 0;
        for (int second = 0; second < 3600; second++)
        {
            meter.Note(total);
            total += second < 1800 ? 100 : 7;
            _clock.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(7, meter.PerSecond(total), 0.1);
    }
}
