using System.Text.Json;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Tracked;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>The tracker stays in the kernel between backups: the next one reads only what changed. Whatever speaks against it means that everything is read and compared, and the report says why.</summary>
public sealed class TrackedIncrementalTests
{
    private const int MiB = 1 << 20;
    private const int SmallFile = 40 * MiB;

    [Fact]
    public async Task The_next_backup_reads_only_what_changed()
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync();
        JsonElement first = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        Assert.Equal("full", first.GetProperty("scan").GetString());
        await volume.ChangeAsync(70 * MiB, 3 * MiB);

        JsonElement second = await DemandChangesAsync(volume, first);
        Assert.InRange(second.GetProperty("read_bytes").GetInt64(), 3 * MiB, 40 * MiB); // a sample and the file system's own blocks are in it
        await volume.ChangeAsync(10 * MiB, 1 * MiB);
        await DemandChangesAsync(volume, second);
    }

    [Fact]
    public async Task A_backup_that_was_killed_in_between_costs_nothing()
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync();
        JsonElement first = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        await volume.ChangeAsync(20 * MiB, 2 * MiB);
        using (ProcessRun run = volume.Cli.Start("backup", volume.Loop.MountPoint, "--full-scan"))
        {
            await run.KillAfterAsync(TimeSpan.FromMilliseconds(new Random().Next(100, 1000)));
        }

        bool hadCommitted = await volume.Cli.CountPointsAsync() > 1; // then it may have been killed while it wrote down its point, and nothing is on record
        await volume.ChangeAsync(90 * MiB, 1 * MiB);
        JsonElement next = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        bool hasNoRecord = hadCommitted && next.GetProperty("scan_reason").GetString()!.Contains("the one before was broken off", StringComparison.Ordinal);
        Assert.Equal(hasNoRecord ? "full" : "changes", next.GetProperty("scan").GetString());
        await volume.DemandImageAsync(next.GetProperty("point").GetString()!);
    }

    [Fact]
    public async Task Two_vaults_in_turn_each_get_what_changed()
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync(SmallFile);
        QuenchCli other = await QuenchCli.WithNewVaultAsync(Path.Combine(volume.Loop.Scratch, "vault"));
        await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        await volume.ChangeAsync(0, 1 * MiB);
        Assert.Equal("full", (await other.BackupAsync(volume.Loop.MountPoint)).GetProperty("scan").GetString());
        await volume.ChangeAsync(5 * MiB, 1 * MiB);

        JsonElement here = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        Assert.Equal("changes", here.GetProperty("scan").GetString());
        await volume.DemandImageAsync(here.GetProperty("point").GetString()!);
        Assert.Equal("changes", (await other.BackupAsync(volume.Loop.MountPoint)).GetProperty("scan").GetString());
    }

    [Theory]
    [InlineData("gone", "since its tracker was started")]
    [InlineData("lost", "1 writes could not be noted since the last point")]
    [InlineData("queued_1_link", "since its tracker was started")]
    [InlineData("landed_2_link", "since its tracker was started")]
    [InlineData("record", "can't be read")]
    [InlineData("unheard", "were written that the tracker may not have heard of at all since the last point")]
    public async Task Any_doubt_about_the_tracker_means_that_everything_is_read(string what, string words)
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync(SmallFile);
        await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        StandingFolder folder = StandingFolder.Of(DiskPlace.Of(volume.Loop.Device));
        switch (what)
        {
            case "gone":
                await Tool.RunAsync("umount", Path.Combine(volume.Loop.Run, "bpf"));
                break;
            case "queued_1_link" or "landed_2_link":
                File.Delete(Path.Combine(folder.Objects, what));
                break;
            case "record":
                File.WriteAllBytes(Directory.GetFiles(folder.Files, "record-*").Single(), [1, 2, 3]);
                break;
            case "unheard":
                Unhear(folder, TrackerLocal.LandedBytes);
                Unhear(folder, TrackerLocal.QueuedBytes);
                break;
            default:
                using (BpfMap control = BpfMap.OpenPinned(folder.Control, 1, (int)TrackerWord.Count))
                {
                    control.Write((int)TrackerWord.Lost, control.Read((int)TrackerWord.Lost) + 1);
                }

                break;
        }

        await volume.ChangeAsync(30 * MiB, 1 * MiB);
        JsonElement next = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        Assert.Equal("full", next.GetProperty("scan").GetString());
        Assert.Contains(words, next.GetProperty("scan_reason").GetString(), StringComparison.Ordinal);
        await volume.DemandImageAsync(next.GetProperty("point").GetString()!);
        await DemandChangesAsync(volume, next); // it counts again from there
    }

    [Theory]
    [InlineData(TrackerLocal.LandedBytes)]
    [InlineData(TrackerLocal.QueuedBytes)]
    public async Task A_write_that_was_heard_at_one_of_its_ends_is_no_doubt(int word)
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync(SmallFile);
        JsonElement first = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        await volume.ChangeAsync(30 * MiB, 1 * MiB);
        Unhear(StandingFolder.Of(DiskPlace.Of(volume.Loop.Device)), word);
        await DemandChangesAsync(volume, first);
    }

    [Fact]
    public async Task More_that_was_heard_than_the_disk_has_written_is_no_doubt()
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync(SmallFile);
        JsonElement point = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        StandingFolder folder = StandingFolder.Of(DiskPlace.Of(volume.Loop.Device));
        Unhear(folder, TrackerLocal.LandedBytes, -1 * MiB); // as of requests that failed, or are under way
        Unhear(folder, TrackerLocal.QueuedBytes, -2 * MiB);
        point = await DemandChangesAsync(volume, point);
        await volume.ChangeAsync(30 * MiB, 1 * MiB);
        await DemandChangesAsync(volume, point);
    }

    [Fact]
    public async Task Without_tracking_nothing_stays_in_the_kernel()
    {
        await using StoppedBackup volume = await StoppedBackup.PrepareAsync(SmallFile);
        await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        StandingFolder folder = StandingFolder.Of(DiskPlace.Of(volume.Loop.Device));
        Assert.True(Directory.Exists(folder.Objects));
        JsonElement next = await volume.Cli.BackupAsync(volume.Loop.MountPoint, "--no-track");
        Assert.Contains("--no-track", next.GetProperty("scan_reason").GetString(), StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder.Objects));
    }

    /// <summary>As if the kernel had not run a program for some bytes.</summary>
    private static void Unhear(StandingFolder folder, int word, long bytes = 4096)
    {
        using BpfMap local = BpfMap.OpenPinned(folder.Local, 1, Processor.CountPossible() * TrackerLocal.Words);
        local.Write(word, unchecked(local.Read(word) - (ulong)bytes));
    }

    private static async Task<JsonElement> DemandChangesAsync(StoppedBackup volume, JsonElement before)
    {
        JsonElement next = await volume.Cli.BackupAsync(volume.Loop.MountPoint);
        Assert.True(next.GetProperty("scan").GetString() == "changes", next.GetRawText());
        Assert.Equal(before.GetProperty("point").GetString(), next.GetProperty("base_point").GetString());
        await volume.DemandImageAsync(next.GetProperty("point").GetString()!);
        return next;
    }
}
