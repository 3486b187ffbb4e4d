using System.Globalization;
using System.Text.Json;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Providers.Tracked;
using Quench.Snapshots.Writes;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>What the trackers, and the watch of who writes, cost a device's writers and readers. QUENCH_MEASURE says how many rounds; the figures are in docs/performance.md.</summary>
public sealed class TrackerCostTests
{
    private static readonly (string Name, string[] Options)[] s_loads =
    [
        ("random 4 KiB writes", ["--rw=randwrite", "--bs=4k", "--iodepth=16"]),
        ("random 4 KiB reads", ["--rw=randread", "--bs=4k", "--iodepth=16"]),
        ("1 MiB writes", ["--rw=write", "--bs=1M", "--iodepth=4"]),
    ];

    private static readonly (string Name, string[] Options) s_buffered = ("random 4 KiB writes through the cache", ["--direct=0", "--rw=randwrite", "--bs=4k", "--iodepth=1"]);

    [Fact]
    public Task The_cost_of_the_tracker_of_a_backup_is_measured() => MeasureAsync("tracker", s_loads, loop => DeviceTracker.Start(loop.Device));

    [Fact]
    public Task The_cost_of_the_tracker_that_stands_is_measured() => MeasureAsync("standing tracker", s_loads, loop => new Standing(loop.Device));

    [Fact]
    public Task The_cost_of_a_watch_of_who_writes_is_measured() => MeasureAsync("watch", [.. s_loads, s_buffered], loop => new Watching(loop.Device));

    private static async Task MeasureAsync(string what, (string Name, string[] Options)[] loads, Func<MountedLoop, IDisposable> start)
    {
        int rounds = Chance.Count("QUENCH_MEASURE", 0);
        Assert.SkipUnless(rounds > 0, "measures only when QUENCH_MEASURE says how many rounds");
        Requires.Tool("fio");
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 640L << 20);
        string file = Path.Combine(loop.MountPoint, "file");
        await FioAsync(file, "--rw=write", "--bs=1M"); // its blocks are allotted once
        foreach ((string name, string[] options) in loads)
        {
            List<double> ratios = [];
            for (int round = 0; round < rounds; round++)
            {
                // In turn, and each second time the other way round, so that a machine that gets slower or faster meanwhile favours neither.
                double before = round % 2 == 0 ? await RunAsync() : 0;
                double with;
                using (start(loop))
                {
                    with = await RunAsync();
                }

                ratios.Add(with / (round % 2 == 0 ? before : await RunAsync()));
            }

            Task<double> RunAsync() => FioAsync(file, [.. options, "--time_based", "--runtime=2"]);

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

    /// <summary>A watch whose events are taken, and added up, as the command does.</summary>
    private sealed class Watching : IDisposable
    {
        private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

        private readonly ManualResetEventSlim _end = new();
        private readonly WriteWatch _watch;
        private readonly Thread _taking;

        internal Watching(string volume)
        {
            _watch = WriteWatch.Start(WatchedVolume.Find(volume), new WriteWatchOptions(), TimeProvider.System);
            _taking = new Thread(TakeAll);
            _taking.Start();
        }

        public void Dispose()
        {
            _end.Set();
            _taking.Join();
            WriteLosses losses = _watch.Losses;
            _watch.Dispose();
            _end.Dispose();
            Assert.False(losses.MayMissWrites, losses.ToString());
        }

        private void TakeAll()
        {
            ActivityTally tally = new();
            tally.Begin(new ActivitySession(TimeProvider.System.GetUtcNow(), _watch.Volume.Device, null, null, _watch.Volume.Length, 0));
            List<WriteEvent> events = [];
            do
            {
                _watch.Take(events);
                foreach (WriteEvent one in events)
                {
                    tally.Add(one);
                }

                events.Clear();
            }
            while (!_end.Wait(s_look));
        }
    }

    /// <summary>As it is between backups: in the kernel, and no process has it open.</summary>
    private sealed class Standing : IDisposable
    {
        private readonly string _device;

        internal Standing(string device)
        {
            _device = device;
            StandingTracker? tracker = StandingTracker.TryOpen(device, out string whyNot);
            Assert.True(tracker is not null, whyNot);
            tracker.Dispose();
        }

        public void Dispose() => StandingTracker.Remove(_device);
    }
}
