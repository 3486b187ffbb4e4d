using System.Diagnostics;
using System.Globalization;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Supervision;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// Workers die, hang and are replaced under a file system in use: production must see no error and no wrong byte, and must not wait long.
/// QUENCH_WORKER_KILLS and QUENCH_WORKER_HANGS say how often.
/// </summary>
public sealed class SupervisorTests
{
    private const double MillisecondsToLast = 300; // the longest time a worker is left alone before it is killed
    private const int KillsInARow = 20;            // after so many, one worker is left alone for longer: more would be a crash loop, which ends in pass-through

    private static readonly TimeSpan s_hangLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_atOnce = new SupervisorPace().AtOnce + TimeSpan.FromMilliseconds(200);

    [Theory]
    [InlineData("ext4", true)]
    [InlineData("xfs", true)]
    [InlineData("btrfs", false)]
    public async Task Workers_that_are_killed_at_random_moments_are_not_noticed_by_what_they_serve(string fileSystem, bool direct)
    {
        Demand($"mkfs.{fileSystem}");
        int seed = Chance.Seeds(1).Single();
        Random random = new(seed);
        int kills = Chance.Count("QUENCH_WORKER_KILLS", 4);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync(fileSystem);
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        await using VerifiedLoad load = new(Path.Combine(volume.MountPoint, "load"), direct, seed);
        List<double> stalls = [];
        int underLoad = 0;
        int withSnapshot = 0;
        for (int kill = 0; kill < kills; kill++)
        {
            // Every second one while a snapshot is active and writes save blocks for it.
            bool snapshots = kill % 2 == 1;
            ISnapshot? snapshot = snapshots ? await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 48 << 20, Freeze = false }) : null;
            await volume.WaitForStandbyAsync();
            double calm = kill % KillsInARow == KillsInARow - 1 ? s_atOnce.TotalMilliseconds : 0;
            await Task.Delay(TimeSpan.FromMilliseconds(calm + (random.NextDouble() * MillisecondsToLast)), TestContext.Current.CancellationToken); // the moment is the matter
            underLoad += load.IsAtWork ? 1 : 0;
            withSnapshot += snapshots ? 1 : 0;
            prober.Watch();
            await volume.ReplaceAsync(Holders.KillAsync);
            await prober.GoesOnAsync();
            stalls.Add(prober.Longest().TotalMilliseconds);
            if (snapshot is not null)
            {
                await DemandBrokenAsync(snapshot);
                await snapshot.DisposeAsync();
            }
        }

        await load.DemandCleanAsync();
        await prober.StopAsync();
        VolumeSupervision end = volume.Supervision;
        Assert.Equal((kills, 0, null), (end.Restarts, end.Hangs, end.PassThrough));
        await volume.DemandFileSystemCleanAsync();
        Say($"{fileSystem} {(direct ? "direct" : "buffered")}, seed {seed}: {kills} kills ({underLoad} under fio, {withSnapshot} with a snapshot)", stalls);
    }

    [Theory]
    [InlineData("stopped", "ext4", true)]
    [InlineData("deadlocked", "ext4", true)]
    [InlineData("stopped", "xfs", true)]
    [InlineData("stopped", "btrfs", false)]
    public async Task A_worker_that_hangs_is_replaced_by_one_that_only_passes_through(string how, string fileSystem, bool direct)
    {
        Demand($"mkfs.{fileSystem}");
        Assert.SkipWhen(how == "deadlocked" && !TestPoint.Exists, "needs a debug build");
        using IDisposable program = QuenchCli.WithTestPoints();
        int seed = Chance.Seeds(1).Single();
        int hangs = Chance.Count("QUENCH_WORKER_HANGS", 1);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync(fileSystem);
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        await using VerifiedLoad load = new(Path.Combine(volume.MountPoint, "load"), direct, seed);
        List<double> stalls = [];
        int underLoad = 0;
        for (int hang = 1; hang <= hangs; hang++)
        {
            ISnapshot? snapshot = hang % 2 == 1 ? await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 48 << 20, Freeze = false }) : null;
            await volume.WaitForStandbyAsync();
            underLoad += load.IsAtWork ? 1 : 0;
            prober.Watch();
            VolumeSupervision now = await volume.ReplaceAsync(worker => HangAsync(volume, worker, how));
            await prober.GoesOnAsync();
            TimeSpan stall = prober.Longest();
            stalls.Add(stall.TotalMilliseconds);
            Assert.InRange(stall, s_hangLimit / 2, TimeSpan.FromSeconds(5));
            Assert.Equal(hang, now.Hangs);
            Assert.NotNull(now.PassThrough);
            VolumeTracking tracking = FilterVolumes.GetTracking(volume.Volume.Attached)!;
            Assert.False(tracking.IsOn);
            Assert.NotNull(tracking.Reason);
            if (snapshot is not null)
            {
                await DemandBrokenAsync(snapshot);
                await snapshot.DisposeAsync();
            }

            QuenchException refused = await Assert.ThrowsAsync<QuenchException>(() => volume.Volume.SnapshotAsync(new SnapshotOptions { Freeze = false }));
            Assert.Equal("SNAP-144", refused.Code);

            now = await FilterAttachment.UpgradeAsync(volume.Volume.Name, CancellationToken.None);
            Assert.Null(now.PassThrough);
            Assert.True(FilterVolumes.GetTracking(volume.Volume.Attached)!.IsOn);
        }

        await load.DemandCleanAsync();
        await prober.StopAsync();
        await volume.DemandFileSystemCleanAsync();
        Say($"{how}, {fileSystem} {(direct ? "direct" : "buffered")}, seed {seed}: {hangs} hangs ({underLoad} under fio, every other with a snapshot)", stalls);
    }

    [Fact]
    public async Task Workers_are_replaced_under_load_and_nothing_is_lost_of_what_they_tracked()
    {
        Demand("mkfs.ext4");
        int seed = Chance.Seeds(1).Single();
        int upgrades = Chance.Count("QUENCH_WORKER_UPGRADES", 3);
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        Guid point = await RememberAsync(volume);
        await using StallProber prober = new(Path.Combine(volume.MountPoint, "probe"));
        await using VerifiedLoad load = new(Path.Combine(volume.MountPoint, "load"), direct: true, seed);
        List<double> stalls = [];
        for (int upgrade = 0; upgrade < upgrades; upgrade++)
        {
            prober.Watch();
            await FilterAttachment.UpgradeAsync(volume.Volume.Name, CancellationToken.None);
            await prober.GoesOnAsync();
            stalls.Add(prober.Longest().TotalMilliseconds);
        }

        await load.DemandCleanAsync();
        await prober.StopAsync();
        VolumeSupervision end = volume.Supervision;
        Assert.Equal((0, upgrades), (end.Restarts, end.Upgrades));
        VolumeTracking tracking = FilterVolumes.GetTracking(volume.Volume.Attached)!;
        Assert.Equal((point, 0L), (tracking.Point!.Value, tracking.DoubtfulBytes));
        Assert.True(tracking.ChangedBytes >= 24 << 20, $"{tracking.ChangedBytes} bytes changed");
        await volume.DemandFileSystemCleanAsync();
        Say($"seed {seed}: {upgrades} upgrades", stalls);
    }

    [Fact]
    public async Task What_changed_is_still_known_after_a_worker_died_and_a_crash_makes_only_regions_doubtful()
    {
        Demand("mkfs.ext4");
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        Guid point = await RememberAsync(volume);
        VolumeLife.WriteThrough(volume.MountPoint);

        await volume.ReplaceAsync(Holders.KillAsync);

        VolumeTracking tracking = FilterVolumes.GetTracking(volume.Volume.Attached)!;
        Assert.True(tracking.IsOn);
        Assert.Null(tracking.Reason);
        Assert.Equal(point, tracking.Point);
        Assert.InRange(tracking.DoubtfulBytes, 1, 64 << 20);
    }

    [Fact]
    public async Task A_snapshot_that_ended_with_its_worker_never_shows_the_bytes_of_the_next_one()
    {
        Demand("mkfs.ext4");
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        await using ISnapshot first = await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 << 20 });
        await volume.ReplaceAsync(Holders.KillAsync);
        await using ISnapshot second = await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 << 20 });

        await second.Reader.ReadAsync(0, new byte[4096], CancellationToken.None);
        QuenchException broken = await DemandBrokenAsync(first);

        Assert.Contains("killed by signal 9", broken.Message, StringComparison.Ordinal);
        Assert.Equal(20, broken.ExitCode);
    }

    [Fact]
    public async Task A_volume_whose_holder_died_is_served_on_and_detached_in_order()
    {
        Demand("mkfs.ext4");
        await using SupervisedVolume volume = await SupervisedVolume.CreateAsync("ext4");
        int worker = volume.Supervision.WorkerId;
        await Holders.KillAsync(volume.Volume.HolderId);

        VolumeLife.WriteThrough(volume.MountPoint);

        await Wait.UntilAsync(() => !volume.Supervision.IsSupervised, TimeSpan.FromSeconds(10), "the worker knows that it is alone");
        Assert.Equal(worker, volume.Supervision.WorkerId);
        await volume.DemandFileSystemCleanAsync();
        await FilterAttachment.DetachAsync(volume.Volume.Name, CancellationToken.None);
        Assert.Null(FilterVolumes.Find(volume.Volume.Name));
    }

    [Fact]
    public async Task A_worker_that_forgets_to_have_requests_sent_again_is_caught()
    {
        Demand("mkfs.ext4");
        Assert.SkipUnless(TestPoint.Exists, "needs a debug build");
        using IDisposable program = QuenchCli.WithTestPoints();
        const string Forget = "QUENCH_TEST_FORGET_RESEND";
        Environment.SetEnvironmentVariable(Forget, "1");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 64 << 20);
        Environment.SetEnvironmentVariable(Forget, null);
        await using StallProber prober = new(volume.Device);
        bool caught = false;
        for (int kill = 0; kill < 20 && !caught; kill++)
        {
            int worker = FilterVolumes.GetSupervision(volume.Attached)!.WorkerId;
            await Holders.KillAsync(worker);
            await Wait.UntilAsync(() => FilterVolumes.GetSupervision(volume.Attached) is { } now && now.WorkerId != worker, TimeSpan.FromSeconds(20), "another worker serves");
            long served = Stopwatch.GetTimestamp();
            await Wait.UntilAsync(() => (caught = prober.Waiting > TimeSpan.FromSeconds(2)) || prober.FirstEndAfter(served) is not null, TimeSpan.FromSeconds(5), "the prober goes on or does not");
        }

        Assert.True(caught, "20 workers died with requests in work, and none of the requests was lost");
        await volume.KillAllAsync(); // or the lost request would wait for ever
    }

    private static void Demand(string tool)
    {
        Requires.LiveVolumes();
        Requires.Tool(tool, "fio");
    }

    private static async Task HangAsync(SupervisedVolume volume, int worker, string how)
    {
        if (how == "stopped")
        {
            await Tool.RunAsync("kill", "-STOP", worker.ToString(CultureInfo.InvariantCulture));
            return;
        }

        using ControlClient client = ControlClient.TryConnect(FilterDirectory.For(volume.Volume.Name))!;
        Assert.Throws<QuenchException>(() => client.Ask(new ControlRequest { Op = "hang" })); // answered by the worker's death
    }

    /// <summary>Demands that a snapshot answers errors, and says why.</summary>
    private static async Task<QuenchException> DemandBrokenAsync(ISnapshot snapshot)
    {
        QuenchException broken = await Assert.ThrowsAsync<QuenchException>(async () => await snapshot.Reader.ReadAsync(0, new byte[4096], CancellationToken.None));
        Assert.Equal("SNAP-104", broken.Code);
        return broken;
    }

    private static async Task<Guid> RememberAsync(SupervisedVolume volume)
    {
        Guid point = Guid.NewGuid();
        await using ISnapshot snapshot = await volume.Volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 << 20 });
        await ((IChangeHistory)snapshot).RememberAsync(Guid.NewGuid(), point, UsedBlocks.All(volume.Volume.Attached.Length), CancellationToken.None);
        return point;
    }

    private static void Say(string what, List<double> stalls) => Figures.Say(string.Create(
        CultureInfo.InvariantCulture,
        $"{what}: 0 errors; stall p50 {Figures.Percentile(stalls, 0.5):0} ms, p90 {Figures.Percentile(stalls, 0.9):0} ms, p99 {Figures.Percentile(stalls, 0.99):0} ms, max {stalls.Max():0} ms"));
}
