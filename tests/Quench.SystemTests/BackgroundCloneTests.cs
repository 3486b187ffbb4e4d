using System.Diagnostics;
using System.Text.Json;
using Quench.Snapshots.Store;
using Quench.Snapshots.Store.Clones;
using Quench.SystemTests.DiffAreaTrouble;
using Quench.SystemTests.Harness;
using Quench.SystemTests.PowerCut;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>Full copies that go on after their command has ended: only what is called done is a copy.</summary>
public sealed class BackgroundCloneTests
{
    private const int MiB = 1 << 20;
    private const long Length = 64L * MiB;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private readonly QuenchCli _cli = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_clone_goes_on_without_its_command_beside_writers_and_then_needs_no_snapshot()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        StampField field = new(0xC10E, 1024);
        using StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), field, written: true);
        await writer.MoreAsync(40);
        long before = writer.Acknowledged;
        await TakeAsync(volume);
        long after = writer.Issued;
        string target = Path.Combine(volume.Scratch, "clone.img");

        string id = await StartAsync(volume, target, "--delete-snapshot");
        await writer.MoreAsync(40);

        BackgroundClone clone = await EndAsync(id);
        Assert.True(clone.State == CloneState.Done, clone.ToString());
        Assert.Empty(PersistentSnapshots.List(volume.Attached, measured: false).Snapshots);
        writer.Stop();
        await using LoopedFile looped = await LoopedFile.AttachAsync(target);
        string folder = Directory.CreateDirectory(Path.Combine(volume.Scratch, "clone")).FullName;
        await Tool.RunAsync("mount", "-o", "ro,noload", looped.Device, folder);
        StampChecker.Check(field, Path.Combine(folder, "stamps")).Demand(before, after, "the clone");
        await Tool.RunAsync("umount", folder);
    }

    [Fact]
    public async Task What_can_t_begin_is_refused_by_the_command_itself_and_leaves_nothing()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        await TakeAsync(volume);
        using DiskHost host = new();
        await using DiskHost.AttachedDisk small = host.Attach(new FaultyDisk(Length / 2));
        int clones = BackgroundClones.List().Count;

        await _cli.RefusedAsync(2, "CLI-108", "snapshot", "clone", volume.Name, "1", small.Device, "--background");
        await _cli.RefusedAsync(1, "SNAP-172", "snapshot", "clone", volume.Name, "1", small.Device, "--background", "--yes");
        await _cli.RefusedAsync(1, "SNAP-191", "snapshot", "clones", "--cancel", "000000");

        Assert.Equal(clones, BackgroundClones.List().Count);
    }

    [Fact]
    public async Task A_clone_that_is_cancelled_whose_snapshot_goes_or_whose_process_is_killed_is_never_called_done()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        using StampWriter writer = StampWriter.OnDevice(volume.Device, new StampField(0xC10F, 512));
        await writer.MoreAsync(2000);
        writer.Stop();
        await TakeAsync(volume);
        using DiskHost host = new();
        FaultyDisk disk = new(Length);
        await using DiskHost.AttachedDisk target = host.Attach(disk);

        BackgroundClone cancelled = await BreakAsync(volume, disk, target, clone => _cli.RunAsync("snapshot", "clones", "--cancel", clone.Id));
        Assert.Equal((CloneState.Failed, "cancelled"), (cancelled.State, cancelled.Outcome?.Failure));

        BackgroundClone killed = await BreakAsync(volume, disk, target, clone =>
        {
            using Process process = Process.GetProcessById(clone.Job.Process);
            process.Kill();
            return Task.CompletedTask;
        });
        Assert.Equal(CloneState.Dead, killed.State);

        BackgroundClone bereft = await BreakAsync(volume, disk, target, async _ =>
        {
            ProcessResult deletion = await _cli.RunAsync("snapshot", "delete", volume.Name, "1", "--yes");
            Assert.Contains($"Its copy to {target.Device} is not done and will end", deletion.Error, StringComparison.Ordinal);
        });
        Assert.Equal(CloneState.Failed, bereft.State);
        Assert.Contains("snapshot", bereft.Outcome!.Failure, StringComparison.Ordinal);
    }

    private Task<ProcessResult> TakeAsync(LiveVolume volume) =>
        _cli.RunAsync("snapshot", "create", volume.Name, "--store", volume.Scratch, "--store-size", "32M");

    private async Task<string> StartAsync(LiveVolume volume, string target, params string[] options)
    {
        ProcessResult started = await _cli.RunAsync(["snapshot", "clone", volume.Name, "1", target, "--background", "--yes", "--json", .. options]);
        return JsonDocument.Parse(started.Output).RootElement.GetProperty("id").GetString()!;
    }

    /// <summary>Starts a clone onto a disk that takes ten seconds for each write, does something to it there, and lets it go on.</summary>
    private async Task<BackgroundClone> BreakAsync(LiveVolume volume, FaultyDisk disk, DiskHost.AttachedDisk target, Func<BackgroundClone, Task> act)
    {
        disk.Become(DiskMood.Slow);
        string id = await StartAsync(volume, target.Device);
        BackgroundClone clone = Find(id);
        Assert.Equal(CloneState.Copying, clone.State);
        await act(clone);
        disk.Become(DiskMood.Sound);
        return await EndAsync(id);
    }

    private static async Task<BackgroundClone> EndAsync(string id)
    {
        await Wait.UntilAsync(() => Find(id).State != CloneState.Copying, s_limit, $"clone {id} has ended");
        await Wait.UntilAsync(() => !Directory.Exists($"/proc/{Find(id).Job.Process}"), s_limit, $"the process of clone {id} is gone");
        return Find(id);
    }

    private static BackgroundClone Find(string id) => BackgroundClones.List().Single(clone => clone.Id == id);
}
