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
    private const int KillsInOneVault = 16; // then a new one: what is checked after each kill grows with the points
    private const int GoOnEvery = 6;
    private const int Lanes = 2;
    private const int TurnsForAKill = 20;
    private const double NeverEarlier = 0.7; // of what a command takes that only lists
    private const double Longer = 1.01; // how the range of moments follows the machine: about one command in eight comes to its end
    private const double Shorter = 0.93;

    public static TheoryData<string> Scenarios =>
        [.. KillScenario.All.Keys.Where(name => name.StartsWith(Environment.GetEnvironmentVariable("QUENCH_SCENARIO") ?? "", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public async Task A_command_that_is_killed_at_any_moment_costs_nothing_that_was_acknowledged(string name)
    {
        int seed = Chance.Seeds(1).Single();
        int count = Math.Max(Lanes, Chance.Count("QUENCH_KILLS", 3) / KillScenario.All[name].Share);
        long since = Stopwatch.GetTimestamp();
        int[] turns = await Task.WhenAll(Enumerable.Range(0, Lanes).Select(lane =>
            Task.Run(() => KillManyAsync(KillScenario.All[name], name, (count + lane) / Lanes, new Random(seed + lane)))));
        TimeSpan taken = Stopwatch.GetElapsedTime(since);
        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"{name}, seed {seed}: {count} killed of {turns.Sum()}, in {taken.TotalSeconds:0.0} s, {count / taken.TotalSeconds:0.0} a second: nothing lost"));
    }

    /// <summary>Goes on until so many have been killed.</summary>
    /// <returns>How many were started for that.</returns>
    private static async Task<int> KillManyAsync(KillScenario scenario, string name, int count, Random random)
    {
        int turns = 0;
        for (int killed = 0; killed < count; killed += KillsInOneVault)
        {
            using KillLab lab = await KillLab.CreateAsync(random);
            turns += await KillInOneVaultAsync(scenario, name, lab, Math.Min(KillsInOneVault, count - killed), random);
        }

        return turns;
    }

    private static async Task<int> KillInOneVaultAsync(KillScenario scenario, string name, KillLab lab, int count, Random random)
    {
        await lab.BackUpAsync();
        TimeSpan startup = await lab.RunAsync(["list"]);
        await scenario.Prepare(lab);
        TimeSpan whole = await lab.RunAsync(scenario);
        int killed = 0;
        int turns = 0;
        for (; killed < count; turns++)
        {
            Assert.True(turns < TurnsForAKill * count, "hardly a turn was cut short: the moments are chosen too late");
            bool again = turns % GoOnEvery == GoOnEvery - 1;

            // What is done before the vault is looked at can't hurt it, so the moments lie behind most of what every command does first.
            TimeSpan moment = (startup * NeverEarlier) + (random.NextDouble() * ((whole * 1.1) - (startup * NeverEarlier)));
            await scenario.Prepare(lab);
            bool wasCut = await lab.KillAsync(scenario, moment);
            killed += wasCut ? 1 : 0;
            whole *= wasCut ? Longer : Shorter;
            await lab.DemandAsync(string.Create(CultureInfo.InvariantCulture, $"{name}, killed after {moment.TotalMilliseconds:0} of {whole.TotalMilliseconds:0} ms"));
            if (again || killed == count)
            {
                await scenario.Prepare(lab);
                await lab.RunAsync(scenario);
                await lab.DemandAsync($"{name}, run again");
            }
        }

        return turns;
    }
}
