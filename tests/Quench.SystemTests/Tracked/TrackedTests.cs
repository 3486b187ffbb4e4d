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
/// A mounted volume that nobody prepared, imaged while it is written. The copy alone is held against the frozen device, byte for byte; whole backups are in <see cref="TrackedPointInTimeTests"/>.
/// QUENCH_ROUNDS says how often, QUENCH_SEED replays.
/// </summary>
public sealed class TrackedTests
{
    private const long MiB = 1L << 20;
    private const int DefaultRounds = 2;

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
    public async Task A_btrfs_is_found_by_its_device_and_its_mount_point_and_refused_when_it_lies_on_several()
    {
        await using (MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Btrfs, 512 * MiB))
        {
            Assert.Equal(loop.MountPoint, TrackedProvider.Find(loop.Device)!.MountPoint);
            Assert.Equal(loop.Device, TrackedProvider.Find(loop.MountPoint)!.Device);
        }

        using TempFolder folder = new("several");
        await using LoopedFile one = await LoopedFile.AttachAsync(Sparse(folder["one"]));
        await using LoopedFile two = await LoopedFile.AttachAsync(Sparse(folder["two"]));
        await Tool.RunAsync("mkfs.btrfs", "-q", "-d", "raid1", "-m", "raid1", one.Device, two.Device);
        string mountPoint = folder.MakeFolder("mnt");
        await Tool.RunAsync("mount", one.Device, mountPoint);
        try
        {
            foreach (string name in (string[])[one.Device, two.Device, mountPoint])
            {
                QuenchException failure = Assert.Throws<QuenchException>(() => TrackedProvider.Find(name));
                Assert.Equal("SNAP-182", failure.Code);
                Assert.Contains("lies on 2 devices", failure.Message, StringComparison.Ordinal);
            }
        }
        finally
        {
            await Tool.RunAsync("umount", mountPoint);
        }
    }

    [Fact]
    public void The_root_of_the_machine_is_not_frozen_without_being_told_to()
    {
        MountedVolume root = new("root", "/dev/nothing", "/", "ext4", IsRoot: true);
        QuenchException failure = Assert.Throws<QuenchException>(() => TrackedProvider.Start(root, new TrackedOptions(), TimeProvider.System));
        Assert.Equal("SNAP-185", failure.Code);
        Assert.Contains("no grade at all", failure.Next, StringComparison.Ordinal);
    }

    /// <summary>XFS and btrfs discard all that is free each time they are told to, and what is free counts as used while they run: several times a second, that is more than can be read.</summary>
    private static bool Trims(VolumeKind kind) => kind == VolumeKind.Ext4;

    private static string Sparse(string path)
    {
        using FileStream file = new(path, FileMode.CreateNew);
        file.SetLength(512 * MiB);
        return path;
    }

    private static async Task CompareOneAsync(int seed)
    {
        Random random = new(seed);
        VolumeKind[] kinds = MountedLoop.Kinds();
        VolumeKind kind = kinds[seed % kinds.Length];
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
}
