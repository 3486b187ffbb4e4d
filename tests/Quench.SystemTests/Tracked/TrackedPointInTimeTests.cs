using System.Globalization;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>
/// The promise for a volume as it stands, seen from outside: the image is the volume after exactly some write, on every file system, under every load, at every rate. In a third of the rounds
/// the whole device is read while it is frozen, and the image must have its hash. QUENCH_ROUNDS says how often, QUENCH_SEED replays.
/// </summary>
public sealed class TrackedPointInTimeTests
{
    private const int DefaultRounds = 3;

    [Fact]
    public async Task The_restored_image_of_a_mounted_volume_is_the_volume_after_exactly_some_write()
    {
        Requires.Tool("fio");
        VolumeKind[] kinds = MountedLoop.Kinds();
        LoadKind[] loads = [.. Enum.GetValues<LoadKind>().Where(load => load != LoadKind.Sqlite || Requires.HasTool("sqlite3"))];
        List<TrackedFigures> figures = [];
        foreach (int seed in Chance.Seeds(Chance.Count("QUENCH_ROUNDS", DefaultRounds)))
        {
            using TempFolder folder = new("vault"); // one for each round: hundreds of them would fill the disk
            QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
            figures.Add(await TrackedRound.RunAsync(TrackedRoundPlan.From(seed, kinds, loads), cli));
        }

        Assert.Contains(figures, one => !one.IsRefused); // what is written faster than it is read has no image; but not everything is
        foreach (IGrouping<int, TrackedFigures> rate in figures.Where(one => one.FreezeMilliseconds is not null).GroupBy(one => one.Plan.Rate).OrderBy(group => group.Key))
        {
            double[] freezes = [.. rate.Select(one => one.FreezeMilliseconds!.Value)];
            Figures.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"{rate.Key} MiB/s: freeze p50 {Figures.Percentile(freezes, 0.5):0.0} ms, p99 {Figures.Percentile(freezes, 0.99):0.0} ms, of {freezes.Length}; passes p50 {Figures.Percentile([.. rate.Select(one => (double)one.Passes)], 0.5)}"));
        }
    }
}
