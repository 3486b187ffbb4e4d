using System.Globalization;
using Quench.Snapshots.Coordination;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>
/// Writers that are late, dead, double, lying or flooding, a provider that is late, fails or hangs, a requestor that gives up, and a process that dies between any two steps.
/// QUENCH_SCHEDULES says how many schedules.
/// </summary>
public sealed class CoordinatorSimulationTests
{
    private static readonly int s_schedules =
        int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SCHEDULES"), CultureInfo.InvariantCulture, out int count) ? count : 20_000;

    [Fact]
    public void Nobody_is_held_too_long_and_nobody_is_graded_too_high()
    {
        int first = TestSeed.NewRandom().Next();
        int consistent = 0;
        for (int schedule = 0; schedule < s_schedules; schedule++)
        {
            int seed = unchecked(first + schedule);
            try
            {
                consistent += CoordinationWorld.Live(seed).Consistent;
            }
            catch (Exception failure) when (failure is CoordinationFault or InvalidOperationException)
            {
                throw new CoordinationFault($"schedule {seed}: {failure.Message}");
            }
        }

        Assert.True(consistent > s_schedules / 20, $"only {consistent} writers in {s_schedules} schedules were consistent: the simulation tries too little that goes well");
    }

    [Theory]
    [InlineData(nameof(CoordinationMutant.ForgetAnAbort), "a writer is held, and it is over")]
    [InlineData(nameof(CoordinationMutant.ForgetAThaw), "a writer was held for")]
    [InlineData(nameof(CoordinationMutant.NoClockWhileCreating), "")]
    [InlineData(nameof(CoordinationMutant.LateCountsAsInTime), "graded consistent")]
    [InlineData(nameof(CoordinationMutant.LostCountsAsHeld), "graded consistent")]
    [InlineData(nameof(CoordinationMutant.FailedProviderCounts), "graded consistent")]
    [InlineData(nameof(CoordinationMutant.LevelsAreIgnored), "a level was frozen")]
    public void A_coordination_that_does_wrong_is_caught(string mutant, string byWhat)
    {
        CoordinationMutant wrong = Enum.Parse<CoordinationMutant>(mutant);
        for (int seed = 0; seed < 5_000; seed++)
        {
            try
            {
                CoordinationWorld.Live(seed, wrong);
            }
            catch (CoordinationFault fault) when (fault.Message.Contains(byWhat, StringComparison.Ordinal))
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"{mutant}: caught by seed {seed}: {fault.Message}");
                return;
            }
            catch (CoordinationFault)
            {
                // Caught by another promise; this one is looked for.
            }
        }

        Assert.Fail($"{mutant} was not caught in 5,000 schedules");
    }

    [Theory]
    [InlineData(61, 5)]
    [InlineData(20, 11)]
    [InlineData(0, 5)]
    public void Limits_go_down_only(int writersSeconds, int providerSeconds) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new CoordinationLimits
        {
            Writers = TimeSpan.FromSeconds(writersSeconds),
            Provider = TimeSpan.FromSeconds(providerSeconds),
        });

    [Fact]
    public void A_provider_that_may_take_all_of_the_writers_time_is_refused() =>
        Assert.Throws<ArgumentException>(() => new Coordinator(1, new CoordinationLimits { Writers = TimeSpan.FromSeconds(5), Provider = TimeSpan.FromSeconds(5) }));
}
