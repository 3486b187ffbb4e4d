using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Tracked;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>
/// A mounted volume that nobody prepared, imaged while it is written. First the copy alone against the frozen device, byte for byte; then `quench backup`, restored, by its stamps.
/// QUENCH_ROUNDS says how often, QUENCH_SEED replays.
/// </summary>
public sealed class TrackedTests
{
    private const long MiB = 1L << 20;
    private const int DefaultRounds = 4;

    private static readonly int[] s_rates = [1, 20, 100];

    private static int Rounds => Chance.Count("QUENCH_ROUNDS", DefaultRounds);

    [Fact]
    public async Task A_copy_made_in_passes_is_the_frozen_device()
    {
        Requires.Tool("fio");
        foreach (int seed in Chance.Seeds(Rounds))
        {
            try
            {
                await CompareOneAsync(seed);
            }
            catch (InvalidOperationException failure)
            {
                throw new InvalidOperationException($"QUENCH_SEED={seed} QUENCH_ROUNDS=1 replays it\n{failure.Message}", failure);
            }
        }
    }

    [Fact]
    public async Task The_restored_image_of_a_mounted_volume_is_the_volume_after_exactly_some_write()
    {
        Requires.Tool("fio");
        using TempFolder folder = new("vault");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        foreach (int seed in Chance.Seeds(Rounds))
        {
            try
            {
                await BackUpOneAsync(cli, seed);
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"QUENCH_SEED={seed} QUENCH_ROUNDS=1 replays it\n{failure.Message}", failure);
            }
        }

        await cli.RunAsync("verify");
    }

    [Fact]
    public async Task The_vault_may_lie_on_the_volume_that_is_imaged()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 512 * MiB);
        await File.WriteAllBytesAsync(Path.Combine(loop.MountPoint, "file"), RandomNumberGenerator.GetBytes(40 << 20), TestContext.Current.CancellationToken);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(loop.MountPoint, "vault"));
        JsonElement summary = await cli.BackupAsync(loop.MountPoint);
        Assert.Equal(("tracked", "file-system"), (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString()));
        await cli.RunAsync("verify");
        string image = Path.Combine(loop.Scratch, "image");
        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, image, "--yes");
        await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
    }

    [Fact]
    public async Task A_volume_that_is_written_faster_than_it_is_read_is_given_up_with_the_numbers()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 128 * MiB);
        ConvergenceLimits impossible = new() { LittleBytes = 0, HeldBytes = 4096, PassesWithoutGain = 1, Passes = 3 };
        await using IConvergingSnapshot snapshot = TrackedProvider.Start(loop.Find(), new TrackedOptions { Limits = impossible }, TimeProvider.System);
        string file = Path.Combine(loop.MountPoint, "file");
        QuenchException failure = await Assert.ThrowsAsync<QuenchException>(async () =>
        {
            for (int pass = 0; pass < 10; pass++)
            {
                await File.WriteAllBytesAsync(file, new byte[4 << 20], TestContext.Current.CancellationToken);
                UsedBlocks changed = await snapshot.TakeChangesAsync(TestContext.Current.CancellationToken);
                Assert.False(snapshot.ShouldHold(changed.TotalLength));
            }
        });
        Assert.Equal("SNAP-184", failure.Code);
        Assert.Contains("were written", failure.Message, StringComparison.Ordinal);
        Assert.Contains("quieter hour", failure.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void The_root_of_the_machine_is_not_frozen_without_being_told_to()
    {
        MountedVolume root = new("root", "/dev/nothing", "/", "ext4", IsRoot: true);
        QuenchException failure = Assert.Throws<QuenchException>(() => TrackedProvider.Start(root, new TrackedOptions(), TimeProvider.System));
        Assert.Equal("SNAP-185", failure.Code);
    }

    /// <summary>XFS discards all that is free each time it is told to, and what is free counts as used there: several times a second, that is more than can be read.</summary>
    private static bool Trims(VolumeKind kind) => kind != VolumeKind.Xfs;

    private static async Task CompareOneAsync(int seed)
    {
        Random random = new(seed);
        VolumeKind kind = seed % 3 == 0 && Requires.HasTool("mkfs.xfs") ? VolumeKind.Xfs : VolumeKind.Ext4;
        bool discards = random.Next(2) == 0;
        LoadKind loadKind = (LoadKind)random.Next(4);
        int rate = s_rates[random.Next(s_rates.Length)];
        await using MountedLoop loop = await MountedLoop.CreateAsync(kind, 320 * MiB, discards ? "discard" : "defaults");
        await using Load load = Load.Start(loop.MountPoint, loadKind, 48, rate);
        await using BusyWriter busy = new(loop.MountPoint, 2048, random, Trims(kind)); // files that come and go, and discards
        await Wait.UntilAsync(() => File.Exists(Path.Combine(loop.MountPoint, "load")), TimeSpan.FromSeconds(30), "the load has begun");
        string words = await DeviceCopy.CompareAsync(loop);
        Assert.True(load.IsRunning, "the load died");
        await busy.StopAsync();
        Figures.Say($"seed {seed}: {kind}, {loadKind} at {rate} MB/s{(discards ? ", discards" : "")}: {words}");
    }

    private static async Task BackUpOneAsync(QuenchCli cli, int seed)
    {
        Random random = new(seed);
        VolumeKind kind = seed % 3 == 0 && Requires.HasTool("mkfs.xfs") ? VolumeKind.Xfs : VolumeKind.Ext4;
        LoadKind loadKind = (LoadKind)random.Next(4);
        int rate = s_rates[random.Next(s_rates.Length)];
        await using MountedLoop loop = await MountedLoop.CreateAsync(kind, 320 * MiB, random.Next(2) == 0 ? "discard" : "defaults");
        StampField field = new((ulong)seed, random.Next(64, 4096));
        using StampWriter writer = StampWriter.OnNewFile(Path.Combine(loop.MountPoint, "stamps"), field, written: random.Next(2) == 0);
        await using BusyWriter busy = new(loop.MountPoint, 2048, random, Trims(kind));
        await using Load load = Load.Start(loop.MountPoint, loadKind, 32, rate);
        await writer.MoreAsync(random.Next(1, 100));
        long durableBefore = writer.Acknowledged;
        JsonElement summary = await cli.BackupAsync(random.Next(2) == 0 ? loop.Device : loop.MountPoint);
        long issuedAfter = writer.Issued;
        Assert.True(load.IsRunning, "the load died");
        await busy.StopAsync();
        writer.Stop();
        Assert.Equal(("tracked", "file-system"), (summary.GetProperty("provider").GetString(), summary.GetProperty("grade").GetString()));
        string image = Path.Combine(loop.Scratch, "image");
        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, image, "--yes");
        StampVerdict verdict = await CheckAsync(kind, image, Directory.CreateDirectory(Path.Combine(loop.Scratch, "image-mount")).FullName, field);
        verdict.Demand(durableBefore, issuedAfter, "the image");
        Figures.Say(string.Create(
            CultureInfo.InvariantCulture,
            $"seed {seed}: {kind}, {loadKind} at {rate} MB/s: image after stamp {verdict.Last} of [{durableBefore}, {issuedAfter}], "
            + $"freeze {summary.GetProperty("freeze_ms")} ms, used {summary.GetProperty("used_bytes")}, {summary.GetProperty("scan")}"));
    }

    private static async Task<StampVerdict> CheckAsync(VolumeKind kind, string image, string mountPoint, StampField field)
    {
        if (kind == VolumeKind.Xfs) // XFS leaves its log to be read even when it is frozen
        {
            await RestoredImage.ReplayJournalAsync(image, kind, mountPoint);
        }

        await RestoredImage.DemandCleanAsync(image, kind);
        await using RestoredImage inside = await RestoredImage.MountAsync(image, kind, mountPoint);
        return StampChecker.Check(field, inside["stamps"]);
    }
}
