using System.Diagnostics;
using System.Globalization;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Kills;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// The command line dies at a random moment, with all that it has started. Nothing that was acknowledged is lost, nothing dangles, and the next run works
/// with no manual step. QUENCH_KILLS says how often, for each command; two lanes kill side by side.
/// </summary>
public sealed class KillScenarioTests
{
    private const int KillsInOneVault = 24; // then a new one: what is checked after each kill grows with the points
    private const int GoOnEvery = 6;
    private const int Lanes = 2;

    public static TheoryData<string> Scenarios => [.. KillScenario.All.Keys];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task A_command_that_is_killed_at_any_moment_costs_nothing_that_was_acknowledged(string name)
    {
        int seed = Chance.Seeds(1).Single();
        int count = Chance.Count("QUENCH_KILLS", 6);
        long since = Stopwatch.GetTimestamp();
        int[] killed = await Task.WhenAll(Enumerable.Range(0, Lanes).Select(lane =>
            Task.Run(() => KillManyAsync(KillScenario.All[name], name, (count + lane) / Lanes, new Random(seed + lane)))));
        TimeSpan taken = Stopwatch.GetElapsedTime(since);
        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"{name}, seed {seed}: {count} turns, {killed.Sum()} killed, in {taken.TotalSeconds:0.0} s, {count / taken.TotalSeconds:0.0} a second: nothing lost"));
        Assert.True(killed.Sum() > 0, "no turn was cut short: the moments are chosen too late");
    }

    private static async Task<int> KillManyAsync(KillScenario scenario, string name, int count, Random random)
    {
        int killed = 0;
        for (int done = 0; done < count; done += KillsInOneVault)
        {
            using KillLab lab = await KillLab.CreateAsync(random);
            killed += await KillInOneVaultAsync(scenario, name, lab, Math.Min(KillsInOneVault, count - done), random);
        }

        return killed;
    }

    private static async Task<int> KillInOneVaultAsync(KillScenario scenario, string name, KillLab lab, int count, Random random)
    {
        int killed = 0;
        await lab.BackUpAsync();
        TimeSpan startup = await lab.RunAsync(["list"]);
        await scenario.Prepare(lab);
        TimeSpan whole = await lab.RunAsync(scenario);
        for (int turn = 1; turn <= count; turn++)
        {
            // What is done before the vault is looked at can't hurt it, so the moments lie behind the first half of what every command does first.
            TimeSpan moment = (startup / 2) + (random.NextDouble() * ((whole * 1.1) - (startup / 2)));
            await scenario.Prepare(lab);
            killed += await lab.KillAsync(scenario, moment) ? 1 : 0;
            await lab.DemandAsync(string.Create(CultureInfo.InvariantCulture, $"{name}, killed after {moment.TotalMilliseconds:0} of {whole.TotalMilliseconds:0} ms"));
            if (turn % GoOnEvery == 0 || turn == count)
            {
                await scenario.Prepare(lab);
                await lab.RunAsync(scenario);
                await lab.DemandAsync($"{name}, run again");
            }
        }

        return killed;
    }
}
