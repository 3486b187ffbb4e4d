using System.Globalization;
using Quench.SystemTests.DiffAreaTrouble;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// Whatever becomes of the diff area (full, no space, failing, slow, silent, unplugged), production sees no error and no stall, and a point is right or not there.
/// QUENCH_TROUBLES says how many rounds.
/// </summary>
public sealed class DiffAreaTroubleTests
{
    private const int DefaultRounds = 8;

    [Fact]
    public async Task Trouble_with_the_diff_area_reaches_no_write_and_makes_no_bad_point()
    {
        Requires.LiveVolumes();
        int[] seeds = [.. Chance.Seeds(Chance.Count("QUENCH_TROUBLES", DefaultRounds))];
        await using TroubleLab lab = await TroubleLab.CreateAsync(seeds[0]);
        foreach (int seed in seeds)
        {
            TroublePlan plan = TroublePlan.From(seed);
            try
            {
                await lab.RunAsync(plan);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"QUENCH_SEED={seed} QUENCH_TROUBLES=1 replays it: {plan}\n{failure.Message}", failure);
            }
        }

        await lab.CheckAsync();
        double healthy = Figures.Percentile(lab.Baseline, 0.99);
        double troubled = Figures.Percentile(lab.Troubled, 0.99);
        double longest = lab.Troubled.Max();
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"{seeds.Length} rounds: writes p50 {Figures.Percentile(lab.Baseline, 0.5):0.000} and {Figures.Percentile(lab.Troubled, 0.5):0.000} ms, p99 {healthy:0.000} and {troubled:0.000} ms, longest {lab.Baseline.Max():0} and {longest:0} ms, sound and in trouble; "
            + $"told after {(lab.ToldAfter.Count > 0 ? lab.ToldAfter.Max() : 0):0} ms at most; {string.Join(", ", lab.Ends.Select(end => $"{end.Key} {end.Value}"))}"));
        Assert.True(troubled <= 2 * healthy, $"p99 of production's writes: {troubled:0.000} ms in trouble, {healthy:0.000} ms with a sound diff area");
        Assert.True(longest < 1000, $"a write took {longest:0} ms");
    }
}
