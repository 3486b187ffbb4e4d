using System.Diagnostics;
using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Store;
using Quench.SystemTests.DiffAreaTrouble;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Supervision;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// A worker is killed while a thread of it is in the kernel with I/O to a disk that does not answer, and that is not the origin's: its process can't end.
/// Production must not wait for that.
/// </summary>
public sealed class LeftBehindTests
{
    private const long DiskLength = 96L << 20;
    private const int Readers = 12;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_stuckFor = TimeSpan.FromSeconds(1); // longer than a busy machine takes for a transfer that does end

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("spill file")]
    [InlineData("store")]
    public async Task Production_goes_on_when_a_worker_was_killed_that_can_not_end(string stuckIn)
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.ext4", "fio");
        int seed = Chance.Seeds(1).Single();
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(DiskLength);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        await using VerifiedLoad load = new(Path.Combine(volume.MountPoint, "load"), direct: true, seed);
        ISnapshot? snapshot = await TakeAsync(volume, folder, stuckIn);
        try
        {
            await volume.WaitForStandbyAsync();
            int worker = volume.Supervision.WorkerId;
            folder.Become(DiskMood.Silent);
            await WaitForStuckThreadAsync(worker);
            prober.Watch();
            await KillAsync(worker);
            VolumeSupervision now = await volume.WaitForAnotherAsync(worker);
            await prober.GoesOnAsync();
            TimeSpan stall = prober.Longest();
            Assert.True(WorkerRemains.HasBegunToEnd(worker), "the worker has ended after all: this test has shown nothing");
            Assert.True(stall < TimeSpan.FromSeconds(5), $"a write or read took {stall.TotalSeconds:0.0} s");
            Assert.Equal((1, 0), (now.Restarts, now.Hangs));
            TimeSpan told = await DemandToldAsync(snapshot);
            await DemandServiceAsync(volume, stuckIn);
            Figures.Say(string.Create(CultureInfo.InvariantCulture, $"{stuckIn}, seed {seed}: stall {stall.TotalMilliseconds:0} ms, the backup told after {told.TotalMilliseconds:0} ms"));

            folder.Become(DiskMood.Sound);
            await Wait.UntilAsync(() => !Directory.Exists($"/proc/{worker}"), s_limit, "the worker that was left behind ends");
            VolumeSupervision after = await FilterAttachment.UpgradeAsync(volume.Volume.Name, Token);
            Assert.Null(after.PassThrough);
            await load.DemandCleanAsync();
            await prober.StopAsync();
            await volume.DemandFileSystemCleanAsync();
        }
        finally
        {
            folder.Become(DiskMood.Sound);
        }
    }

    [Fact]
    public async Task A_volume_is_detached_while_a_worker_of_it_can_not_end()
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.ext4");
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(DiskLength);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        await using ISnapshot? snapshot = await TakeAsync(volume, folder, "spill file");
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        try
        {
            await using VerifiedLoad load = new(Path.Combine(volume.MountPoint, "load"), direct: true, seed: 1);
            int worker = volume.Supervision.WorkerId;
            folder.Become(DiskMood.Silent);
            await WaitForStuckThreadAsync(worker);
            await KillAsync(worker);
            await volume.WaitForAnotherAsync(worker);
            await load.DemandCleanAsync();
            await prober.StopAsync();
            await volume.DemandFileSystemCleanAsync();

            await FilterAttachment.DetachAsync(volume.Volume.Name, Token);

            Assert.True(WorkerRemains.HasBegunToEnd(worker), "the worker has ended after all: this test has shown nothing");
            Assert.Null(FilterVolumes.Find(volume.Volume.Name));
            folder.Become(DiskMood.Sound);
            await Wait.UntilAsync(() => !Directory.Exists($"/proc/{worker}"), s_limit, "the worker that was left behind ends");
        }
        finally
        {
            folder.Become(DiskMood.Sound);
        }
    }

    [Fact]
    public async Task Those_who_read_an_exposed_snapshot_from_a_store_that_does_not_answer_cost_production_one_worker()
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.ext4", "dd");
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(DiskLength);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        await OverwriteAsync(volume);
        await TakeAsync(volume, folder, "store");
        string device = PersistentSnapshots.Expose(volume.Volume.Attached, 1);
        await OverwriteAsync(volume);
        KeptSnapshotList kept = PersistentSnapshots.List(volume.Volume.Attached, measured: true);
        Assert.InRange(kept.UsedBytes, 8 << 20, kept.CapBytes - (8 << 20));
        await volume.WaitForStandbyAsync();
        await Tool.RunAsync("sync", "-f", folder.Path);
        await Tool.RunAsync("sysctl", "-q", "vm.drop_caches=1"); // or the reads would never come to the disk
        int worker = volume.Supervision.WorkerId;
        List<ProcessRun> readers = [];
        try
        {
            folder.Become(DiskMood.Silent);
            prober.Watch();
            for (int reader = 0; reader < Readers; reader++) // more than the volume has threads
            {
                readers.Add(ProcessRun.Start(new ProcessStartInfo("dd", [$"if={device}", "of=/dev/null", "bs=64k", "iflag=direct", $"skip={reader * 16}"])));
            }

            VolumeSupervision now = await volume.WaitForAnotherAsync(worker);
            await prober.GoesOnAsync();
            TimeSpan stall = prober.Longest();
            Figures.Say(string.Create(CultureInfo.InvariantCulture, $"stall {stall.TotalMilliseconds:0} ms; hangs {now.Hangs}, restarts {now.Restarts}, {now.PassThrough}"));
            Assert.True(stall < TimeSpan.FromSeconds(5), $"a write or read took {stall.TotalSeconds:0.0} s");
            Assert.Equal(1, now.Hangs);
        }
        finally
        {
            folder.Become(DiskMood.Sound);
            foreach (ProcessRun reader in readers)
            {
                await reader.EndAsync(s_limit);
                reader.Dispose();
            }
        }

        await prober.StopAsync();
        await volume.DemandFileSystemCleanAsync();
        await Wait.UntilAsync(() => !Directory.Exists($"/proc/{worker}"), s_limit, "the worker that was left behind ends");
        Assert.Null((await FilterAttachment.UpgradeAsync(volume.Volume.Name, Token)).PassThrough);
        await FilterAttachment.DetachAsync(volume.Volume.Name, Token);
        Assert.False(File.Exists($"/sys/block/{Path.GetFileName(device)}/loop/backing_file"), "the device that nobody serves any more was left behind");
    }

    /// <summary>Has the volume's writes save blocks on the folder's disk.</summary>
    private static async Task<ISnapshot?> TakeAsync(SupervisedVolume volume, FaultyFolder folder, string stuckIn)
    {
        if (stuckIn == "spill file")
        {
            return await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 2 << 20, SpillFolder = folder.Path, CapBytes = 64 << 20, Freeze = false });
        }

        KeepOptions options = new() { StoreFolder = folder.Path, StoreBytes = 48 << 20, Freeze = false };
        await PersistentSnapshots.CreateAsync([volume.Volume.Attached], options, TimeProvider.System, Token);
        return null;
    }

    /// <summary>Writes the same 8 MiB again, past the page cache.</summary>
    private static async Task OverwriteAsync(SupervisedVolume volume) =>
        await Tool.RunAsync("dd", "if=/dev/urandom", $"of={Path.Combine(volume.MountPoint, "data")}", "bs=1M", "count=8", "oflag=direct", "conv=notrunc,fsync", "status=none");

    private static async Task DemandServiceAsync(SupervisedVolume volume, string stuckIn)
    {
        VolumeSupervision now = volume.Supervision;
        if (stuckIn == "spill file")
        {
            Assert.Null(now.PassThrough); // nobody else uses that file: full service can't be harmed
            return;
        }

        Assert.Contains("can't end", now.PassThrough, StringComparison.Ordinal);
        QuenchException refused = await Assert.ThrowsAsync<QuenchException>(() => FilterAttachment.UpgradeAsync(volume.Volume.Name, Token));
        Assert.Equal("SNAP-146", refused.Code);
    }

    /// <summary>Demands that the requestor of a snapshot hears at once that it is gone.</summary>
    private static async Task<TimeSpan> DemandToldAsync(ISnapshot? snapshot)
    {
        if (snapshot is null)
        {
            return TimeSpan.Zero;
        }

        long since = Stopwatch.GetTimestamp();
        QuenchException broken = await Assert.ThrowsAsync<QuenchException>(async () => await snapshot.Reader.ReadAsync(0, new byte[4096], Token));
        await snapshot.DisposeAsync();
        TimeSpan told = Stopwatch.GetElapsedTime(since);
        Assert.Equal("SNAP-104", broken.Code);
        Assert.True(told < TimeSpan.FromSeconds(3), $"it was told after {told.TotalSeconds:0.0} s");
        return told;
    }

    /// <summary>Kills a process and does not wait for its end, which may not come.</summary>
    private static async Task KillAsync(int process) => await Tool.RunAsync("kill", "-KILL", process.ToString(CultureInfo.InvariantCulture));

    /// <summary>Waits until a thread has been in uninterruptible sleep for a while.</summary>
    private static async Task WaitForStuckThreadAsync(int process)
    {
        Dictionary<string, long> asleepSince = [];
        await Wait.UntilAsync(
            () =>
            {
                HashSet<string> asleep = [.. Directory.GetDirectories($"/proc/{process}/task").Where(IsAsleep)];
                foreach (string awake in asleepSince.Keys.Where(thread => !asleep.Contains(thread)).ToArray())
                {
                    asleepSince.Remove(awake);
                }

                foreach (string thread in asleep)
                {
                    asleepSince.TryAdd(thread, Stopwatch.GetTimestamp());
                }

                return asleepSince.Values.Any(static since => Stopwatch.GetElapsedTime(since) > s_stuckFor);
            },
            s_limit,
            "a thread of the worker is stuck in the kernel");
    }

    private static bool IsAsleep(string thread)
    {
        try
        {
            return WorkerRemains.TryParse(File.ReadAllBytes(Path.Combine(thread, "stat")), out ThreadLook look) && look.IsAsleep;
        }
        catch (IOException)
        {
            return false; // it has just ended
        }
    }
}
