using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A diff area that runs full costs the snapshot, never the volume.</summary>
public sealed class OverflowTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task A_full_diff_area_breaks_the_snapshot_and_no_write()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        Overwrite(volume, 16);
        await using (ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = MiB }))
        {
            Overwrite(volume, 16);

            await DemandBrokenAsync(snapshot);
        }

        await DemandNextSnapshotWorksAsync(volume);
    }

    [Fact]
    public async Task A_spill_file_that_its_disk_has_no_room_for_breaks_the_snapshot_and_no_write()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        await using TinyFileSystem tiny = await TinyFileSystem.MountAsync(volume.Scratch, 2 * MiB);
        Overwrite(volume, 16);
        SnapshotOptions options = new() { MemoryBytes = MiB, SpillFolder = tiny.Path, CapBytes = 64 * MiB };
        await using (ISnapshot snapshot = await volume.SnapshotAsync(options))
        {
            Overwrite(volume, 16);

            await DemandBrokenAsync(snapshot);
        }

        await DemandNextSnapshotWorksAsync(volume);
    }

    [Fact]
    public async Task A_spill_file_on_the_volume_itself_is_refused()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);

        QuenchException refused = await Assert.ThrowsAsync<QuenchException>(
            () => volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = MiB, SpillFolder = volume.MountPoint }));

        Assert.Equal(("SNAP-107", 2), (refused.Code, refused.ExitCode));
        await DemandNextSnapshotWorksAsync(volume);
    }

    [Fact]
    public async Task A_backup_whose_diff_area_runs_full_ends_with_20_and_commits_nothing()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 192L << 20);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.Scratch, "vault"));
        Overwrite(volume, 128);
        using CancellationTokenSource enough = new();
        Task writer = Task.Run(() => OverwriteBackwards(volume, 128, enough.Token), TestContext.Current.CancellationToken);

        await cli.RefusedAsync(20, "SNAP-104", "backup", volume.Name, "--diff-area-size", "1M");
        await enough.CancelAsync();
        await writer; // it had no error

        Assert.Equal(0, await cli.CountPointsAsync());
        await cli.RunAsync("verify");
        await cli.BackupAsync(volume.Name, "--diff-area-memory", "64M");
        Assert.Equal(1, await cli.CountPointsAsync());
    }

    [Fact]
    public async Task A_vault_on_the_imaged_volume_itself_is_said_and_its_points_are_right()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 192L << 20);
        Overwrite(volume, 32);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.MountPoint, "vault"));

        ProcessResult backup = await cli.RunAsync("backup", volume.Name, "--prove");

        Assert.Contains("lies on", backup.Error, StringComparison.Ordinal);
        Assert.Equal(1, await cli.CountPointsAsync());
        string image = Path.Combine(volume.Scratch, "restored.img");
        await cli.RunAsync("restore", "latest", image);
        await using RestoredImage restored = await RestoredImage.MountAsync(image, VolumeKind.Ext4, Directory.CreateDirectory(Path.Combine(volume.Scratch, "mnt")).FullName);
        Assert.Equal(File.ReadAllBytes(Path.Combine(volume.MountPoint, "data")), File.ReadAllBytes(restored["data"]));
    }

    private static async Task DemandBrokenAsync(ISnapshot snapshot)
    {
        DiffAreaStatus status = await snapshot.GetStatusAsync(CancellationToken.None);
        Assert.NotNull(status.BrokenReason);
        QuenchException broken = await Assert.ThrowsAsync<QuenchException>(() => snapshot.Reader.ReadAsync(0, new byte[4096], CancellationToken.None).AsTask());
        Assert.Equal(("SNAP-104", 20), (broken.Code, broken.ExitCode));
        Assert.Contains("the volume itself is unaffected", broken.Effect, StringComparison.Ordinal);
    }

    private static async Task DemandNextSnapshotWorksAsync(LiveVolume volume)
    {
        await using ISnapshot next = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 32 * MiB });
        Overwrite(volume, 16);
        await next.Reader.ReadAsync(0, new byte[4096], CancellationToken.None);
        Assert.Null((await next.GetStatusAsync(CancellationToken.None)).BrokenReason);
    }

    /// <summary>Writes over one and the same file and makes it durable: its blocks stay where they are.</summary>
    private static void Overwrite(LiveVolume volume, int mebibytes)
    {
        using SafeFileHandle file = NativeFile.Open(Path.Combine(volume.MountPoint, "data"), OpenMode.ReadWrite | OpenMode.Create);
        byte[] content = new byte[MiB];
        Random random = new(mebibytes);
        for (int at = 0; at < mebibytes; at++)
        {
            random.NextBytes(content);
            NativeFile.Write(file, content, (long)at * MiB);
        }

        NativeFile.Sync(file);
    }

    /// <summary>Overwrites the file from its end, so that it is always far ahead of who images it from its start.</summary>
    private static void OverwriteBackwards(LiveVolume volume, int mebibytes, CancellationToken enough)
    {
        const int Step = 4;
        using SafeFileHandle file = NativeFile.Open(Path.Combine(volume.MountPoint, "data"), OpenMode.ReadWrite);
        byte[] content = new byte[Step * MiB];
        new Random(mebibytes).NextBytes(content);
        for (int at = mebibytes - Step; !enough.IsCancellationRequested; at = at == 0 ? mebibytes - Step : at - Step)
        {
            NativeFile.Write(file, content, (long)at * MiB);
            NativeFile.SyncData(file);
        }
    }
}
