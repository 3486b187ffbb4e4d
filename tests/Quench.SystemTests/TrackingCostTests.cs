using System.Globalization;
using System.Text.Json;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>What tracking costs a volume. QUENCH_MEASURE says how many rounds; the figures are in docs/performance.md.</summary>
public sealed class TrackingCostTests
{
    private const long Length = 1L << 30;

    private static readonly string[] s_random = ["--rw=randwrite", "--bs=4k", "--iodepth=16", "--runtime=2", "--time_based"];
    private static readonly string[] s_sequential = ["--rw=write", "--bs=1M", "--iodepth=4", "--runtime=2", "--time_based"];
    private static readonly string[] s_firstTouches = ["--rw=write:4092k", "--bs=4k", "--iodepth=1"];
    private static readonly string[] s_firstTouchesTogether = ["--rw=write:4092k", "--bs=4k", "--iodepth=16"];

    [Fact]
    public async Task The_cost_of_tracking_is_measured()
    {
        int rounds = Chance.Count("QUENCH_MEASURE", 0);
        Assert.SkipUnless(rounds > 0, "measures only when QUENCH_MEASURE says how many rounds");
        Requires.LiveVolumes();
        Requires.Tool("fio");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        await FioAsync(volume, "--rw=write", "--bs=1M", "--iodepth=4"); // the file's room is allotted once
        for (int round = 0; round < rounds; round++)
        {
            await MeasureAsync(volume, "off", tracks: false, hasPoint: false);
            await MeasureAsync(volume, "on, no point", tracks: true, hasPoint: false);
            await MeasureAsync(volume, "on, with a point", tracks: true, hasPoint: true);
        }
    }

    private static async Task MeasureAsync(LiveVolume volume, string name, bool tracks, bool hasPoint)
    {
        await volume.DetachCleanlyAsync();
        await volume.AttachAgainAsync(new AttachOptions { TracksChanges = tracks });
        await FioAsync(volume, s_random); // the worker's code is compiled
        List<string> figures = [];
        foreach ((string what, string[] options) in ((string, string[])[])[("first touch, 1 in flight", s_firstTouches), ("first touch, 16 in flight", s_firstTouchesTogether), ("random 4 KiB", s_random), ("sequential 1 MiB", s_sequential)])
        {
            if (hasPoint)
            {
                await RememberAsync(volume); // every region is clean again
            }

            (double iops, double mean, double worst) = await FioAsync(volume, options);
            figures.Add(string.Create(CultureInfo.InvariantCulture, $"{what}: {iops:0} IOPS, mean {mean:0} us, p99 {worst:0} us"));
        }

        Figures.Say($"tracking {name}: {string.Join("; ", figures)}");
    }

    private static async Task RememberAsync(LiveVolume volume)
    {
        await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 << 20 });
        await ((IChangeHistory)snapshot).RememberAsync(Guid.Empty, Guid.NewGuid(), UsedBlocks.All(Length), CancellationToken.None);
    }

    private static async Task<(double Iops, double Mean, double Worst)> FioAsync(LiveVolume volume, params string[] options)
    {
        string output = await Tool.RunAsync(
            "fio", ["--name=cost", $"--filename={volume.Device}", "--direct=1", "--ioengine=libaio", "--randrepeat=0", "--size=1020M", "--output-format=json", .. options]);
        using JsonDocument report = JsonDocument.Parse(output[output.IndexOf('{', StringComparison.Ordinal)..]);
        JsonElement write = report.RootElement.GetProperty("jobs")[0].GetProperty("write");
        JsonElement latency = write.GetProperty("clat_ns");
        return (write.GetProperty("iops").GetDouble(), latency.GetProperty("mean").GetDouble() / 1000, latency.GetProperty("percentile").GetProperty("99.000000").GetDouble() / 1000);
    }
}
