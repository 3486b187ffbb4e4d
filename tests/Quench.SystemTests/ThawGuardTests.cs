using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A freeze outlives the process that made it. Whatever happens to that process, the guard ends the freeze in time.</summary>
public sealed class ThawGuardTests
{
    private static readonly TimeSpan s_slack = TimeSpan.FromMilliseconds(250);

    [Fact]
    public async Task A_process_that_is_killed_between_freeze_and_thaw_leaves_nothing_frozen()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L << 20);
        int kills = Chance.Count("QUENCH_FREEZE_KILLS", 10);
        List<double> waits = [];
        for (int kill = 0; kill < kills; kill++)
        {
            using Process holder = await FreezeAsync(volume, limit: TimeSpan.FromSeconds(30));
            long since = Stopwatch.GetTimestamp();
            holder.Kill();
            await WriteThroughAsync(volume);
            waits.Add(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
        }

        Figures.Say($"thawed after the death of the process that froze: {Describe(waits)}");
        Assert.True(waits.Max() <= s_slack.TotalMilliseconds, $"a write had to wait {waits.Max():0} ms after the kill");
        await DemandNormalGracePeriodsAsync();
    }

    [Fact]
    public async Task A_process_that_hangs_between_freeze_and_thaw_holds_the_writers_no_longer_than_the_limit()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L << 20);
        TimeSpan limit = TimeSpan.FromMilliseconds(400);
        List<double> waits = [];
        for (int round = 0; round < 4; round++)
        {
            long since = Stopwatch.GetTimestamp();
            using Process holder = await FreezeAsync(volume, limit);
            try
            {
                await Tool.RunAsync("kill", "-STOP", holder.Id.ToString(CultureInfo.InvariantCulture));
                long frozenSince = Stopwatch.GetTimestamp();
                await WriteThroughAsync(volume);
                waits.Add(Stopwatch.GetElapsedTime(frozenSince).TotalMilliseconds);
            }
            finally
            {
                holder.Kill();
            }
        }

        Figures.Say($"thawed at the limit of {limit.TotalMilliseconds:0} ms: {Describe(waits)}");
        Assert.True(waits.Max() <= (limit + s_slack).TotalMilliseconds, $"a write had to wait {waits.Max():0} ms; the limit is {limit.TotalMilliseconds:0} ms");
        await DemandNormalGracePeriodsAsync();
    }

    [Fact]
    public async Task A_guard_that_is_killed_leaves_the_kernel_as_it_was()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L << 20);
        ThawGuard guard = await ThawGuard.StartAsync(volume.MountPoint, TestContext.Current.CancellationToken);
        guard.Arm(TimeSpan.FromSeconds(30));
        Assert.False(VolumeLife.GracePeriodsAreNormal());
        await Tool.RunAsync("kill", "-KILL", guard.ProcessId.ToString(CultureInfo.InvariantCulture));
        guard.Dispose();
        Assert.True(VolumeLife.GracePeriodsAreNormal());
    }

    /// <summary>Has another process freeze the volume, and makes sure that it did.</summary>
    private static async Task<Process> FreezeAsync(LiveVolume volume, TimeSpan limit)
    {
        string milliseconds = limit.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture);
        ProcessStartInfo start = new(Environment.ProcessPath!, [FreezeHolder.CommandName, volume.MountPoint, milliseconds])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        Process holder = Process.Start(start)!;
        byte[] answer = new byte[1];
        Assert.Equal(1, await holder.StandardOutput.BaseStream.ReadAsync(answer));
        using SafeFileHandle root = NativeFile.Open(volume.MountPoint, OpenMode.ReadOnly | OpenMode.Directory);
        LinuxErrorException refused = Assert.Throws<LinuxErrorException>(() => FileSystemFreeze.Freeze(root));
        Assert.Equal(Errno.EBUSY, refused.Errno);
        return holder;
    }

    /// <summary>A write that is durable when this ends. It hangs as long as the file system is frozen.</summary>
    private static async Task WriteThroughAsync(LiveVolume volume) => await Task.Run(() => VolumeLife.WriteThrough(volume.MountPoint))
        .WaitAsync(TimeSpan.FromSeconds(60));

    private static async Task DemandNormalGracePeriodsAsync() =>
        await Wait.UntilAsync(VolumeLife.GracePeriodsAreNormal, TimeSpan.FromSeconds(10), "rcu_expedited is switched back");

    private static string Describe(List<double> waits) => string.Create(
        CultureInfo.InvariantCulture,
        $"{waits.Count} times, median {Figures.Percentile(waits, 0.5):0.0} ms, max {waits.Max():0.0} ms");
}
