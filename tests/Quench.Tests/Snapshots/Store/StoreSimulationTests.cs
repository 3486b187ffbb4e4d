using System.Globalization;
using Quench.Tests.Simulation;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The store's core against a copy of the whole volume for each snapshot. QUENCH_STORE_SEEDS=1..100000 widens it.</summary>
public sealed class StoreSimulationTests
{
    private const int StepsPerSeed = 600;

    [Fact]
    public void Every_snapshot_shows_its_instant_whatever_writers_readers_deletes_failures_and_deaths_do()
    {
        (long from, long to) = Seeds();
        Dictionary<string, int> tally = [];
        for (long seed = from; seed <= to; seed++)
        {
            using StoreWorld world = new(seed);
            try
            {
                world.Run(StepsPerSeed);
            }
            catch (Exception failure) when (failure is SimulationException or InvalidOperationException or IndexOutOfRangeException)
            {
                throw new InvalidOperationException($"QUENCH_STORE_SEEDS={seed}..{seed}: {failure.Message}", failure);
            }

            foreach ((string what, int count) in world.Tally)
            {
                tally[what] = tally.GetValueOrDefault(what) + count;
            }
        }

        string line = string.Join(", ", tally.OrderBy(entry => entry.Key).Select(entry => $"{entry.Value} {entry.Key}"));
        TestContext.Current.TestOutputHelper?.WriteLine($"seeds {from}..{to}: {line}");
        if (to - from >= 100)
        {
            Assert.All((string[])["taken", "kept", "deleted", "dropped", "written", "reads", "gone reads", "failed saves", "saves", "no room", "lost runs", "spoiled batches", "ring reads", "file reads", "deaths", "deaths in taking up", "adopted"], what => Assert.True(tally.ContainsKey(what), what));
        }
    }

    private static (long From, long To) Seeds()
    {
        string[] range = (Environment.GetEnvironmentVariable("QUENCH_STORE_SEEDS") ?? "1..4000").Split("..");
        return (long.Parse(range[0], CultureInfo.InvariantCulture), long.Parse(range[^1], CultureInfo.InvariantCulture));
    }
}
