using System.Globalization;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;
using static Quench.Tests.Vault.VaultLab;

namespace Quench.Tests.Simulation.Collection;

/// <summary>
/// Many schedules of the real vault. <c>QUENCH_SCHEDULES=5000</c> runs so many, <c>QUENCH_SEED=17</c> the one that failed. Ids are random in every run, so a
/// seed repeats the choices of who is next and not the names.
/// </summary>
public sealed class VaultScheduleTests(ITestOutputHelper output)
{
    private const int DefaultSchedules = 40;

    [Fact]
    public async Task Whatever_the_order_no_point_loses_a_byte()
    {
        int count = int.TryParse(Environment.GetEnvironmentVariable("QUENCH_SCHEDULES"), CultureInfo.InvariantCulture, out int wanted) ? wanted : DefaultSchedules;
        bool one = Environment.GetEnvironmentVariable("QUENCH_SEED") is { Length: > 0 };
        int first = TestSeed.Value & 0xFFFFFFF;
        Dictionary<string, byte[]> start = await StartAsync();
        SortedDictionary<string, int> tally = new(StringComparer.Ordinal);
        for (int seed = first; seed < first + (one ? 1 : count); seed++)
        {
            try
            {
                foreach ((string what, int times) in (await VaultSchedule.RunAsync(seed, start, StoreLie.None)).Tally)
                {
                    tally[what] = tally.GetValueOrDefault(what) + times;
                }
            }
            catch
            {
                output.WriteLine($"QUENCH_SEED={seed}");
                throw;
            }
        }

        output.WriteLine(string.Join(", ", tally.Select(pair => $"{pair.Value} {pair.Key}")));
        if (count >= DefaultSchedules && !one)
        {
            string[] needed = ["points", "revoked", "forgotten", "prunes", "deleted packs", "repacked packs", "taken over"];
            Assert.All(needed, what => Assert.True(tally.GetValueOrDefault(what) > 0, $"{what}: a schedule in which nothing happens proves nothing"));
        }
    }

    [Theory]
    [InlineData(StoreLie.CommitKeysAreOverwritten)]
    [InlineData(StoreLie.SessionsAreNotListed)]
    [InlineData(StoreLie.CondemnedAreNotListed)]
    public async Task A_store_that_breaks_its_promise_is_caught(StoreLie lie)
    {
        Dictionary<string, byte[]> start = await StartAsync();
        for (int seed = 1; seed <= 500; seed++)
        {
            int current = seed;
            if (await Record.ExceptionAsync(() => VaultSchedule.RunAsync(current, start, lie)) is { } caught)
            {
                output.WriteLine($"{lie} caught at schedule {seed}: {caught.Message.Split('\n')[0]}");
                return;
            }
        }

        Assert.Fail($"{lie} went unnoticed for five hundred schedules");
    }

    private static async Task<Dictionary<string, byte[]>> StartAsync()
    {
        MemoryStore store = new();
        await using BackupVault vault = await CreateAsync(store);
        return await SnapshotAsync(store);
    }
}
