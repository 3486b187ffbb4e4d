using System.Diagnostics;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.DiffAreaTrouble;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>Who pays when the diff area is full, what is limited, and the wait for a pause between writes.</summary>
public sealed class OverflowPolicyTests
{
    private const int MiB = 1 << 20;

    private static readonly StampField s_field = new(7, 2048); // 8 MiB

    [Fact]
    public async Task Held_writers_wait_for_imaging_and_the_point_is_made()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 64L * MiB);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.Scratch, "vault"));
        StampField field = s_field with { Blocks = 64 * MiB / StampField.BlockSize };
        using TimedWriter writer = new(volume.Device, field);
        await writer.WriteAsync(field.Blocks);
        writer.GoOn();

        JsonElement summary = await cli.BackupAsync(volume.Name, "--diff-area-size", "1M", "--overflow", "hold", "--hold-limit", "60");
        writer.ThrowIfFailed();

        JsonElement limits = summary.GetProperty("limits");
        Assert.InRange(limits.GetProperty("hold_ms").GetDouble(), 0.001, 60_000);
        Assert.Equal(60_000, limits.GetProperty("hold_limit_ms").GetDouble());
        Assert.Equal(1, await cli.CountPointsAsync());
        string image = Path.Combine(volume.Scratch, "image");
        await cli.RunAsync("restore", "latest", image);
        Assert.Empty(StampChecker.Check(field, image).Wrong);
    }

    [Fact]
    public async Task A_writer_is_held_no_longer_than_allowed()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 16L * MiB);
        using TimedWriter writer = new(volume.Device, s_field);
        await writer.WriteAsync(s_field.Blocks);
        TimeSpan limit = TimeSpan.FromMilliseconds(600);
        await using ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = MiB, HoldLimit = limit });
        writer.TakeTimes();

        await writer.WriteAsync(s_field.Blocks); // nobody images, so nothing frees room

        Assert.InRange(writer.TakeTimes().Max(), 590, 5_000);
        DiffAreaStatus status = await snapshot.GetStatusAsync(CancellationToken.None);
        Assert.Contains("a writer had been held for 0.6 s", status.BrokenReason, StringComparison.Ordinal);
        Assert.InRange(snapshot.Times!.Hold!.Value, limit, TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task A_disk_that_never_answers_holds_up_neither_the_end_nor_the_next_snapshot_nor_the_detach()
    {
        Requires.LiveVolumes();
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(96L * MiB);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 16L * MiB);
        using (TimedWriter writer = new(volume.Device, s_field))
        {
            await writer.WriteAsync(s_field.Blocks);
            ISnapshot snapshot = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = MiB, SpillFolder = folder.Path, CapBytes = 64 * MiB });
            folder.Become(DiskMood.Silent);
            await writer.WriteAsync(s_field.Blocks);
            Assert.NotNull((await snapshot.GetStatusAsync(CancellationToken.None)).BrokenReason);

            long since = Stopwatch.GetTimestamp();
            await snapshot.DisposeAsync();
            Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, TimeSpan.FromSeconds(5));
            await using ISnapshot next = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 * MiB });
            await writer.WriteAsync(s_field.Blocks);
            Assert.Null((await next.GetStatusAsync(CancellationToken.None)).BrokenReason);
            writer.ThrowIfFailed();
        }

        long detaching = Stopwatch.GetTimestamp();
        await volume.DetachCleanlyAsync();
        Assert.InRange(Stopwatch.GetElapsedTime(detaching), TimeSpan.Zero, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_folder_that_does_not_answer_refuses_the_snapshot_and_nothing_else()
    {
        Requires.LiveVolumes();
        await using FaultyFolder folder = await FaultyFolder.MakeAsync(96L * MiB);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 16L * MiB);
        using SafeFileHandle root = NativeFile.Open(folder.Path, OpenMode.ReadOnly | OpenMode.Directory);
        FileSystemFreeze.Freeze(root); // whoever makes a file there waits
        try
        {
            SnapshotOptions options = new() { MemoryBytes = MiB, SpillFolder = folder.Path, CapBytes = 64 * MiB, TakeLimit = TimeSpan.FromSeconds(2) };
            QuenchException refused = await Assert.ThrowsAsync<QuenchException>(() => volume.SnapshotAsync(options));
            Assert.Equal("SNAP-106", refused.Code);
            Assert.Contains("did not answer within 1 s", refused.Message, StringComparison.Ordinal);
            await using ISnapshot next = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = MiB });
        }
        finally
        {
            FileSystemFreeze.TryThaw(root);
        }
    }

    [Fact]
    public async Task A_snapshot_that_is_not_there_in_time_is_given_up_and_leaves_the_volume_free()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L * MiB);
        SnapshotOptions options = new() { MemoryBytes = MiB, TakeLimit = TimeSpan.FromMilliseconds(1) }; // starting the guard alone takes longer

        QuenchException late = await Assert.ThrowsAsync<QuenchException>(() => volume.SnapshotAsync(options));

        Assert.Equal(("SNAP-108", 1), (late.Code, late.ExitCode));
        await using ISnapshot next = await volume.SnapshotAsync(options with { TakeLimit = TimeSpan.FromSeconds(30) });
        Assert.InRange(next.Times!.Taken, TimeSpan.FromTicks(1), TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_snapshot_is_taken_in_a_pause()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 16L * MiB);
        using TimedWriter writer = new(volume.Device, s_field);
        await writer.WriteAsync(1);
        writer.GoOn();
        Task<ISnapshot> taking = Task.Run(() => volume.SnapshotAsync(Quiet(TimeSpan.FromSeconds(60), isRequired: true)), TestContext.Current.CancellationToken);
        await writer.WriteAsync(5000); // then it stands still

        await using ISnapshot snapshot = await taking;

        QuietFound found = snapshot.Times!.Quiet!;
        Assert.True(found.IsFound);
        Assert.InRange(found.Quiet, TimeSpan.FromMilliseconds(200), found.Waited);
    }

    [Fact]
    public async Task Where_there_is_no_pause_the_snapshot_is_taken_anyway_or_refused()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 16L * MiB);
        using TimedWriter writer = new(volume.Device, s_field);
        await writer.WriteAsync(1);
        writer.GoOn();
        await using (ISnapshot snapshot = await volume.SnapshotAsync(Quiet(TimeSpan.FromSeconds(1), isRequired: false)))
        {
            Assert.False(snapshot.Times!.Quiet!.IsFound);
            Assert.InRange(snapshot.Times.Quiet.Waited, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5));
        }

        QuenchException refused = await Assert.ThrowsAsync<QuenchException>(() => volume.SnapshotAsync(Quiet(TimeSpan.FromSeconds(1), isRequired: true)));
        Assert.Equal(("SNAP-109", 11), (refused.Code, refused.ExitCode));
        writer.ThrowIfFailed();
    }

    [Fact]
    public async Task The_report_shows_what_was_measured_beside_each_limit()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L * MiB);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.Scratch, "vault"));

        JsonElement summary = await cli.BackupAsync(volume.Name, "--quiet-wait=30s", "--quiet-period", "0.1", "--snapshot-limit", "20");

        JsonElement limits = summary.GetProperty("limits");
        foreach ((string name, double limit) in (ReadOnlySpan<(string, double)>)[("snapshot", 20_000), ("save_wait", 250), ("saved", 10_000), ("idle", 10_000)])
        {
            Assert.Equal(limit, limits.GetProperty($"{name}_limit_ms").GetDouble());
            Assert.InRange(limits.GetProperty($"{name}_ms").GetDouble(), 0, limit);
        }

        Assert.True(summary.GetProperty("quiet").GetProperty("found").GetBoolean());
        ProcessResult words = await cli.RunAsync("backup", volume.Name, "--quiet-wait=30s", "--overflow", "hold");
        Assert.Contains("taken in a pause", words.Error, StringComparison.Ordinal);
        Assert.Contains("within limits: snapshot taken in", words.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_requestor_that_is_killed_leaves_an_idle_filter_within_the_limit()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Raw, 64L * MiB);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.Scratch, "vault"));
        using TimedWriter writer = new(volume.Device, s_field);
        await writer.WriteAsync(s_field.Blocks);
        FilterDirectory directory = FilterDirectory.For(volume.Name);
        using ProcessRun run = cli.Start("backup", volume.Name);
        await Wait.UntilAsync(() => Directory.Exists(directory.Snapshots) && Directory.EnumerateFiles(directory.Snapshots).Any(), TimeSpan.FromSeconds(60), "the backup has its snapshot");

        Assert.True(await run.KillAfterAsync(TimeSpan.FromMilliseconds(1)));
        long since = Stopwatch.GetTimestamp();
        await Wait.UntilAsync(() => !Directory.EnumerateFiles(directory.Snapshots).Any(), TimeSpan.FromSeconds(10), "the filter is idle");
        await using ISnapshot next = await volume.SnapshotAsync(new SnapshotOptions { MemoryBytes = 16 * MiB });

        Assert.InRange(Stopwatch.GetElapsedTime(since), TimeSpan.Zero, SpillSettings.LongestHandling);
        await writer.WriteAsync(s_field.Blocks);
        writer.ThrowIfFailed();
    }

    private static SnapshotOptions Quiet(TimeSpan limit, bool isRequired) =>
        new() { MemoryBytes = 16 * MiB, Quiet = new QuietWait(limit, TimeSpan.FromMilliseconds(200), isRequired) };
}
