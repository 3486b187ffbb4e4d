using System.Globalization;
using System.Text.Json;
using Quench.Snapshots.Providers.Tracked;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>What the tracker costs a device's writers and readers. QUENCH_MEASURE says how many rounds; the figures are in docs/performance.md.</summary>
public sealed class TrackerCostTests
{
    private static readonly (string Name, string[] Options)[] s_loads =
    [
        ("random 4 KiB writes", ["--rw=randwrite", "--bs=4k", "--iodepth=16"]),
        ("random 4 KiB reads", ["--rw=randread", "--bs=4k", "--iodepth=16"]),
        ("1 MiB writes", ["--rw=write", "--bs=1M", "--iodepth=4"]),
    ];

    [Fact]
    public Task The_cost_of_the_tracker_of_a_backup_is_measured() => MeasureAsync("tracker", loop => DeviceTracker.Start(loop.Device));

    [Fact]
    public Task The_cost_of_the_tracker_that_stands_is_measured() => MeasureAsync("standing tracker", loop => new Standing(loop.Device));

    private static async Task MeasureAsync(string what, Func<MountedLoop, IDisposable> start)
    {
        int rounds = Chance.Count("QUENCH_MEASURE", 0);
        Assert.SkipUnless(rounds > 0, "measures only when QUENCH_MEASURE says how many rounds");
        Requires.Tool("fio");
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 640L << 20);
        string file = Path.Combine(loop.MountPoint, "file");
        await FioAsync(file, "--rw=write", "--bs=1M"); // its blocks are allotted once
        foreach ((string name, string[] options) in s_loads)
        {
            List<double> ratios = [];
            for (int round = 0; round < rounds; round++)
            {
                double without = await FioAsync(file, [.. options, "--time_based", "--runtime=2"]);
                using IDisposable tracker = start(loop);
                ratios.Add(await FioAsync(file, [.. options, "--time_based", "--runtime=2"]) / without);
            }

            Figures.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"{what}, {name}: IOPS with it / without, median of {rounds}: {Figures.Percentile(ratios, 0.5):0.000} (from {ratios.Min():0.000} to {ratios.Max():0.000})"));
        }
    }

    private static async Task<double> FioAsync(string file, params string[] options)
    {
        string output = await Tool.RunAsync(
            "fio", ["--name=cost", $"--filename={file}", "--direct=1", "--ioengine=libaio", "--randrepeat=0", "--size=512M", "--output-format=json", .. options]);
        using JsonDocument report = JsonDocument.Parse(output[output.IndexOf('{', StringComparison.Ordinal)..]);
        JsonElement job = report.RootElement.GetProperty("jobs")[0];
        return job.GetProperty("write").GetProperty("iops").GetDouble() + job.GetProperty("read").GetProperty("iops").GetDouble();
    }

    /// <summary>As it is between backups: in the kernel, and no process has it open.</summary>
    private sealed class Standing : IDisposable
    {
        private readonly string _device;

        internal Standing(string device)
        {
            _device = device;
            StandingTracker.TryOpen(device, out _)!.Dispose();
        }

        public void Dispose() => StandingTracker.Remove(_device);
    }
}
