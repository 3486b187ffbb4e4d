using System.Globalization;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>Snapshots that stay: each shows its instant, whatever happens to the volume, to its worker, and to the other snapshots.</summary>
public sealed class PersistentSnapshotTests
{
    private const int MiB = 1 << 20;
    private const int Snapshots = 10;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("ext4")]
    [InlineData("xfs")]
    public async Task Ten_snapshots_of_one_volume_each_show_their_instant_under_load_after_a_detach_and_after_reverts(string kind)
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.xfs");
        await using LiveVolume volume = await LiveVolume.CreateAsync(kind == "xfs" ? VolumeKind.Xfs : VolumeKind.Ext4, 320L << 20);
        StampField field = new(0x5EED, 1024);
        Dictionary<uint, (long AtLeast, long AtMost)> instants = [];
        using (StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), field, written: true))
        {
            for (int round = 0; round < Snapshots; round++)
            {
                await writer.MoreAsync(40);
                long before = writer.Acknowledged;
                KeptSnapshot taken = await TakeAsync(volume);
                instants.Add(taken.Number, (before, writer.Issued));
                Assert.Equal(SnapshotGrade.FileSystem, taken.Grade);
            }

            await using (ISnapshot transient = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 * MiB }))
            {
                await writer.MoreAsync(40); // a backup and the store both see these writes
                Assert.Null((await transient.GetStatusAsync(Token)).BrokenReason);
            }

            foreach (uint gone in (uint[])[3, 1])
            {
                PersistentSnapshots.Delete(volume.Attached, gone);
                instants.Remove(gone);
            }

            await DemandAllAsync(volume, kind, field, instants, "under load");
            writer.Stop();
        }

        await volume.DetachCleanlyAsync();
        await volume.AttachAgainAsync();
        await DemandAllAsync(volume, kind, field, instants, "after a detach");

        foreach (uint number in (uint[])[5, 9, 2])
        {
            await volume.UnmountAsync();
            await RevertAsync(volume, number);
            await volume.MountAsync();
            (long atLeast, long atMost) = instants[number];
            StampChecker.Check(field, Path.Combine(volume.MountPoint, "stamps")).Demand(atLeast, atMost, $"the volume, taken back to snapshot {number}");
        }

        await DemandAllAsync(volume, kind, field, instants, "after the reverts");
        await DemandCloneAsync(volume, kind, field, 4, instants[4]);
        foreach (uint number in instants.Keys)
        {
            PersistentSnapshots.Delete(volume.Attached, number);
        }

        Assert.Null(PersistentSnapshots.List(volume.Attached, measured: false).StoreFolder);
        Assert.DoesNotContain(Directory.GetFiles(volume.Scratch), file => file.Contains("quench-snapshots", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Ten_snapshots_of_a_btrfs_each_show_their_instant_in_a_clone_under_load_and_after_a_detach()
    {
        Requires.LiveVolumes();
        Requires.Tool("mkfs.btrfs", "btrfs");
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 320L << 20);
        await Tool.RunAsync("mkfs.btrfs", "-q", "-f", "-K", volume.Device);
        await Tool.RunAsync("mount", volume.Device, volume.MountPoint);
        StampField field = new(0xB7F5, 512);
        Dictionary<uint, (long AtLeast, long AtMost)> instants = [];
        using (StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), field, written: true))
        {
            for (int round = 0; round < Snapshots; round++)
            {
                await writer.MoreAsync(30);
                long before = writer.Acknowledged;
                KeptSnapshot taken = await TakeAsync(volume, storeBytes: 640 * MiB); // btrfs writes each time somewhere else: room for whatever it may overwrite
                instants.Add(taken.Number, (before, writer.Issued));
                Assert.Equal(SnapshotGrade.FileSystem, taken.Grade);
            }

            foreach (uint gone in (uint[])[3, 1])
            {
                PersistentSnapshots.Delete(volume.Attached, gone);
                instants.Remove(gone);
            }

            await DemandBtrfsAsync(volume, field, 5, instants[5], "under load");
            writer.Stop();
        }

        await Tool.RunAsync("umount", volume.MountPoint);
        await FilterAttachment.DetachAsync(volume.Name, Token);
        await volume.AttachAgainAsync();
        foreach ((uint number, (long AtLeast, long AtMost) instant) in instants)
        {
            await DemandBtrfsAsync(volume, field, number, instant, "after a detach");
        }
    }

    [Fact]
    public async Task Snapshots_survive_the_death_of_the_holder_and_its_workers()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        StampField field = new(0xDEAD, 256);
        Dictionary<uint, (long AtLeast, long AtMost)> instants = [];
        using (StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), field, written: true))
        {
            for (int round = 0; round < 3; round++)
            {
                await writer.MoreAsync(30);
                long before = writer.Acknowledged;
                instants.Add((await TakeAsync(volume)).Number, (before, writer.Issued));
            }

            await writer.MoreAsync(30);
            writer.Stop();
        }

        await volume.KillAllAsync();
        await volume.DetachDeadAsync();
        await volume.AttachAgainAsync();

        await DemandAllAsync(volume, "ext4", field, instants, "after the worker's death");
    }

    [Theory]
    [InlineData("ext4")]
    [InlineData("xfs")]
    public async Task Snapshots_and_their_devices_go_on_when_a_worker_is_replaced(string kind)
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(kind == "xfs" ? VolumeKind.Xfs : VolumeKind.Ext4, 320L << 20);
        StampField field = new(0xD1E, 256);
        Dictionary<uint, (long AtLeast, long AtMost)> instants = [];
        using (StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), field, written: true))
        {
            for (int round = 0; round < 4; round++)
            {
                await writer.MoreAsync(30);
                long before = writer.Acknowledged;
                KeptSnapshot taken = await TakeAsync(volume);
                instants.Add(taken.Number, (before, writer.Issued));
                PersistentSnapshots.Expose(volume.Attached, taken.Number);
                await writer.MoreAsync(10);
                foreach (int worker in Holders.WorkersOf(volume.HolderId)) // the one that serves, and the one in waiting
                {
                    await Holders.KillAsync(worker);
                }
            }

            await writer.MoreAsync(30);
            writer.Stop();
        }

        await DemandAllAsync(volume, kind, field, instants, "after workers were replaced");
        await volume.DetachCleanlyAsync();
        await volume.AttachAgainAsync();
        await DemandAllAsync(volume, kind, field, instants, "after workers were replaced and the volume was detached");
    }

    [Fact]
    public async Task Snapshots_are_lost_and_said_to_be_when_the_volume_went_on_without_its_engine()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        KeptSnapshot taken = await TakeAsync(volume);
        string device = PersistentSnapshots.Expose(volume.Attached, taken.Number);
        int worker = FilterVolumes.GetSupervision(volume.Attached)!.WorkerId;
        await Tool.RunAsync("kill", "-STOP", worker.ToString(CultureInfo.InvariantCulture)); // hangs: the next one serves in pass-through
        await Wait.UntilAsync(
            () => FilterVolumes.GetSupervision(volume.Attached) is { } now && now.WorkerId != worker, TimeSpan.FromSeconds(20), "another worker serves");
        Fill(Path.Combine(volume.MountPoint, "data"), 7, MiB);

        await Assert.ThrowsAnyAsync<IOException>(() => File.ReadAllBytesAsync(device, Token)); // errors, never other bytes
        Assert.Equal("SNAP-144", Assert.Throws<QuenchException>(() => PersistentSnapshots.List(volume.Attached, measured: false)).Code);
        await volume.DetachCleanlyAsync(); // takes the device away too
        await volume.AttachAgainAsync();

        Assert.NotNull(Assert.Single(PersistentSnapshots.List(volume.Attached, measured: false).Snapshots).Gone);
    }

    [Fact]
    public async Task Snapshots_of_an_origin_that_was_written_while_it_was_detached_are_lost_and_said_to_be()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        KeptSnapshot taken = await TakeAsync(volume);
        await volume.DetachCleanlyAsync();
        File.SetLastWriteTimeUtc(volume.Origin, TimeProvider.System.GetUtcNow().UtcDateTime.AddSeconds(1));
        await volume.AttachAgainAsync();

        KeptSnapshotList list = PersistentSnapshots.List(volume.Attached, measured: true);

        Assert.Contains("written while it was detached", Assert.Single(list.Snapshots).Gone, StringComparison.Ordinal);
        Assert.Null(list.StoreFolder);
        QuenchException refused = Assert.Throws<QuenchException>(() => PersistentSnapshots.Expose(volume.Attached, taken.Number));
        Assert.Equal("SNAP-161", refused.Code);
        PersistentSnapshots.Delete(volume.Attached, taken.Number);
        Assert.Equal(taken.Number + 1, (await TakeAsync(volume)).Number); // a number never means two things
    }

    [Fact]
    public async Task A_full_store_drops_the_oldest_snapshot_and_no_write()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        string file = Path.Combine(volume.MountPoint, "data");
        Fill(file, 1, 4 * MiB);
        await TakeAsync(volume, 8 * MiB);
        Fill(file, 2, 4 * MiB);
        await TakeAsync(volume);
        Fill(file, 3, 4 * MiB);
        KeptSnapshot last = await TakeAsync(volume);
        Fill(file, 4, 4 * MiB);

        KeptSnapshotList list = PersistentSnapshots.List(volume.Attached, measured: true);

        Assert.Contains("the store was full", list.Snapshots[0].Gone, StringComparison.Ordinal);
        Assert.Null(list.Snapshots[^1].Gone);
        Assert.InRange(list.UsedBytes, 1, list.CapBytes);
        string mounted = await MountAsync(volume, "ext4", last.Number);
        Assert.All(await File.ReadAllBytesAsync(Path.Combine(mounted, "data"), Token), value => Assert.Equal(3, value));
        await Tool.RunAsync("umount", mounted);
        PersistentSnapshots.Unexpose(volume.Attached, last.Number);
    }

    [Fact]
    public async Task Two_volumes_get_one_instant()
    {
        Requires.LiveVolumes();
        await using LiveVolume one = await LiveVolume.CreateAsync(VolumeKind.Raw, 16 * MiB);
        await using LiveVolume two = await LiveVolume.CreateAsync(VolumeKind.Raw, 16 * MiB);
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task writing = Task.Run(() => CountInTurn(one.Device, two.Device, stop.Token), Token);
        try
        {
            for (int round = 0; round < 5; round++)
            {
                await TakeSetAsync(one, two, round);
            }

            Assert.True(await ReadCountAsync(one, 5) > await ReadCountAsync(one, 1), "nothing was written between the rounds");
        }
        finally
        {
            await stop.CancelAsync();
            await writing;
        }
    }

    [Fact]
    public async Task The_command_line_takes_lists_shows_exposes_serves_and_deletes()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 96L << 20);
        QuenchCli cli = new();
        await cli.RunAsync("snapshot", "create", volume.Name, "--label", "first", "--store", volume.Scratch, "--store-size", "8M");
        Fill(Path.Combine(volume.MountPoint, "data"), 1, MiB);
        await Tool.RunAsync("sync", "-f", volume.MountPoint);
        await cli.RefusedAsync(2, "SNAP-165", "snapshot", "create", volume.Name, "--store-size", "9M");
        await cli.RunAsync("snapshot", "create", volume.Name);

        using JsonDocument list = JsonDocument.Parse((await cli.RunAsync("snapshot", "list", volume.Name, "--json")).Output);
        JsonElement store = list.RootElement[0];
        Assert.Equal(8 * MiB, store.GetProperty("cap_bytes").GetInt64());
        Assert.Equal(2, store.GetProperty("snapshots").GetArrayLength());
        Assert.True(store.GetProperty("snapshots")[0].GetProperty("alone_bytes").GetInt64() > 0);
        Assert.Contains("first", (await cli.RunAsync("snapshot", "list")).Output, StringComparison.Ordinal);
        Assert.Contains("file-system", (await cli.RunAsync("snapshot", "show", volume.Name, "first")).Output, StringComparison.Ordinal);

        string device = (await cli.RunAsync("snapshot", "expose", volume.Name, "first")).Output.Trim();
        Assert.StartsWith("/dev/loop", device, StringComparison.Ordinal);
        await cli.RefusedAsync(11, "SNAP-167", "detach", volume.Name);
        await cli.RefusedAsync(11, "SNAP-167", "snapshot", "delete", volume.Name, "first", "--yes");
        await cli.RunAsync("snapshot", "unexpose", volume.Name, "first");
        await cli.RefusedAsync(11, "SNAP-171", "snapshot", "revert", volume.Name, "first", "--yes");
        await cli.RefusedAsync(2, "CLI-108", "snapshot", "delete", volume.Name, "first");
        await cli.RunAsync("snapshot", "clone", volume.Name, "first", Path.Combine(volume.Scratch, "clone.img"));
        await cli.RunAsync("snapshot", "delete", volume.Name, "first", "--yes");
        await cli.RefusedAsync(1, "SNAP-160", "snapshot", "show", volume.Name, "first");
    }

    private static async Task<KeptSnapshot> TakeAsync(LiveVolume volume, long storeBytes = 0)
    {
        bool hasStore = PersistentSnapshots.List(volume.Attached, measured: false).StoreFolder is not null;
        KeepOptions options = hasStore ? new KeepOptions() : new KeepOptions { StoreFolder = volume.Scratch, StoreBytes = storeBytes == 0 ? 64 * MiB : storeBytes };
        return Assert.Single(await PersistentSnapshots.CreateAsync([volume.Attached], options, TimeProvider.System, Token));
    }

    private static async Task TakeSetAsync(LiveVolume one, LiveVolume two, int round)
    {
        KeepOptions options = new() { Label = string.Create(CultureInfo.InvariantCulture, $"round {round}") };
        IReadOnlyList<KeptSnapshot> set = await PersistentSnapshots.CreateAsync([one.Attached, two.Attached], options, TimeProvider.System, Token);
        long first = await ReadCountAsync(one, set[0].Number);
        long second = await ReadCountAsync(two, set[1].Number);
        Assert.InRange(first - second, 0, 1);
        Assert.Equal(set[0].Instant, set[1].Instant);
    }

    private static async Task DemandAllAsync(
        LiveVolume volume, string kind, StampField field, Dictionary<uint, (long AtLeast, long AtMost)> instants, string when)
    {
        KeptSnapshotList list = PersistentSnapshots.List(volume.Attached, measured: true);
        Assert.Equal(instants.Keys.Order(), list.Snapshots.Where(snapshot => snapshot.Gone is null).Select(snapshot => snapshot.Number));
        foreach ((uint number, (long atLeast, long atMost)) in instants)
        {
            string mounted = await MountAsync(volume, kind, number);
            StampChecker.Check(field, Path.Combine(mounted, "stamps")).Demand(atLeast, atMost, $"snapshot {number} {when}");
            await Tool.RunAsync("umount", mounted);
            PersistentSnapshots.Unexpose(volume.Attached, number);
        }
    }

    private static async Task<string> MountAsync(LiveVolume volume, string kind, uint number)
    {
        string device = PersistentSnapshots.Expose(volume.Attached, number);
        string folder = Directory.CreateDirectory(Path.Combine(volume.Scratch, string.Create(CultureInfo.InvariantCulture, $"snapshot-{number}"))).FullName;
        await Tool.RunAsync("mount", "-o", kind == "xfs" ? "ro,norecovery,nouuid" : "ro,noload", device, folder);
        return folder;
    }

    private static async Task RevertAsync(LiveVolume volume, uint number)
    {
        await using SnapshotRevert revert = await SnapshotRevert.PrepareAsync(volume.Attached, number, Token);
        Assert.True(revert.TotalBytes > 0);
        await revert.RunAsync(_ => { }, Token);
    }

    private static async Task DemandCloneAsync(LiveVolume volume, string kind, StampField field, uint number, (long AtLeast, long AtMost) instant)
    {
        string clone = Path.Combine(volume.Scratch, "clone.img");
        await new QuenchCli().RunAsync("snapshot", "clone", volume.Name, number.ToString(CultureInfo.InvariantCulture), clone);
        await using LoopedFile looped = await LoopedFile.AttachAsync(clone);
        string folder = Directory.CreateDirectory(Path.Combine(volume.Scratch, "clone")).FullName;
        await Tool.RunAsync("mount", "-o", kind == "xfs" ? "ro,norecovery,nouuid" : "ro,noload", looped.Device, folder);
        StampChecker.Check(field, Path.Combine(folder, "stamps")).Demand(instant.AtLeast, instant.AtMost, $"the clone of snapshot {number}");
        await Tool.RunAsync("umount", folder);
    }

    /// <summary>Looks at a snapshot of a btrfs without mounting it: the kernel would take it for the live one.</summary>
    private static async Task DemandBtrfsAsync(LiveVolume volume, StampField field, uint number, (long AtLeast, long AtMost) instant, string when)
    {
        string clone = Path.Combine(volume.Scratch, "clone.img");
        string files = Directory.CreateDirectory(Path.Combine(volume.Scratch, "clone")).FullName;
        await using (OpenSnapshot open = PersistentSnapshots.Open(volume.Attached, number))
        await using (ImageFile disk = ImageFile.CreateNew(clone, open.Reader.Geometry.Length))
        {
            await SnapshotClone.CopyAsync(open, SnapshotGrade.FileSystem, disk, isBlank: true, new ActivityMonitor(TimeProvider.System), Token);
        }

        await Tool.RunAsync("btrfs", "check", "--readonly", clone);
        await Tool.RunAsync("btrfs", "restore", clone, files);
        StampChecker.Check(field, Path.Combine(files, "stamps")).Demand(instant.AtLeast, instant.AtMost, $"snapshot {number} {when}");
        File.Delete(clone);
        Directory.Delete(files, recursive: true);
    }

    private static void Fill(string path, byte value, int length)
    {
        using SafeFileHandle file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Create);
        byte[] bytes = new byte[length];
        Array.Fill(bytes, value);
        NativeFile.Write(file, bytes, 0);
        NativeFile.Sync(file);
    }

    /// <summary>Writes 1, 2, 3… to one device and then to the other, each number to both before the next.</summary>
    private static void CountInTurn(string one, string two, CancellationToken stop)
    {
        using SafeFileHandle first = NativeFile.Open(one, OpenMode.ReadWrite | OpenMode.Direct);
        using SafeFileHandle second = NativeFile.Open(two, OpenMode.ReadWrite | OpenMode.Direct);
        using NativeBuffer block = new(4096);
        for (long count = 1; !stop.IsCancellationRequested; count++)
        {
            BitConverter.TryWriteBytes(block.GetSpan(), count);
            NativeFile.Write(first, block.GetSpan(), 0);
            NativeFile.Write(second, block.GetSpan(), 0);
        }
    }

    private static async Task<long> ReadCountAsync(LiveVolume volume, uint number)
    {
        await using OpenSnapshot open = PersistentSnapshots.Open(volume.Attached, number);
        byte[] block = new byte[4096];
        await open.Reader.ReadAsync(0, block, Token);
        return BitConverter.ToInt64(block);
    }
}
