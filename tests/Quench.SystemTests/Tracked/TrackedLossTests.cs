using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>What a tracker may lose, in a whole backup: each is noticed, and answered by reading everything again or by a plain failure. Never by a bad point.</summary>
public sealed class TrackedLossTests
{
    [Fact]
    public async Task A_log_that_overflows_is_answered_by_reading_everything_again()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        ProcessResult result = await backup.RunAsync(_ =>
        {
            DiscardBehindTheFileSystem(backup.Loop.Device, ranges: 20_000); // the log has room for 16,384
            return Task.CompletedTask;
        });
        await backup.DemandNoticedAsync(result, "could not be noted");
    }

    [Fact]
    public async Task A_missed_run_of_the_tracker_is_answered_by_reading_everything_again()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        await backup.DemandNoticedAsync(await backup.RunWithTestPointAsync("missed:2"), "left the tracker out 3 times");
    }

    [Fact]
    public async Task A_write_that_the_kernel_was_silent_about_is_answered_by_reading_everything_again()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        await backup.DemandNoticedAsync(await backup.RunWithTestPointAsync("silent:2"), "1.00 MiB were written that the tracker may not have heard of at all");
    }

    [Fact]
    public async Task A_landing_that_the_kernel_was_silent_about_costs_no_more_than_what_was_written()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        ProcessResult result = await backup.RunWithTestPointAsync("unheard:2");
        Assert.True(result.ExitCode == 0, result.Error);
        using JsonDocument summary = JsonDocument.Parse(result.Output.TrimEnd('\n').Split('\n')[^1]);
        Assert.DoesNotContain("heard", summary.RootElement.GetProperty("scan_reason").GetString(), StringComparison.Ordinal);
        await backup.DemandImageAsync(summary.RootElement.GetProperty("point").GetString()!);
    }

    [Fact]
    public async Task A_tracker_that_does_not_run_any_more_is_a_failure()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        ProcessResult result = await backup.RunWithTestPointAsync("dropped:2");
        Assert.Contains("do not run any more", result.Error, StringComparison.Ordinal);
        await backup.DemandNoPointAsync(result, "SNAP-184");
    }

    [Fact]
    public async Task A_device_that_is_resized_meanwhile_is_a_failure()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        ProcessResult result = await backup.RunAsync(async _ =>
        {
            using (SafeFileHandle disk = NativeFile.Open(backup.Loop.Disk, OpenMode.ReadWrite))
            {
                NativeFile.SetLength(disk, StoppedBackup.DeviceLength * 2);
            }

            await Tool.RunAsync("losetup", "--set-capacity", backup.Loop.Device);
        });
        await backup.DemandNoPointAsync(result, "SNAP-183");
    }

    [Fact]
    public async Task A_backup_that_is_killed_with_its_tracker_leaves_no_point_and_a_volume_that_works()
    {
        await using StoppedBackup backup = await StoppedBackup.PrepareAsync();
        ProcessResult result = await backup.RunAsync(run => StoppedBackup.SignalAsync(run, "KILL"));
        await backup.DemandNoPointAsync(result, code: null);
    }

    private static void DiscardBehindTheFileSystem(string device, int ranges)
    {
        const long RangeBytes = 8L << 20; // more than a program marks bit by bit
        long places = (StoppedBackup.DeviceLength - StoppedBackup.FileSystemLength) / RangeBytes;
        using SafeFileHandle disk = NativeFile.Open(device, OpenMode.ReadWrite);
        for (int range = 0; range < ranges; range++)
        {
            Assert.SkipUnless(BlockDevice.TryDiscard(disk, StoppedBackup.FileSystemLength + (range % places * RangeBytes), RangeBytes), "the loop device's file knows no discard");
        }
    }
}
