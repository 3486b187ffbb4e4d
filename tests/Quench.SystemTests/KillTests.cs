using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Quench.SystemTests.Harness;
using Quench.SystemTests.Stamps;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// The backup dies at a random moment, by a signal that it can't catch. The volume goes on, the vault is sound, and the next backup works
/// with no manual step. QUENCH_KILLS says how often.
/// </summary>
public sealed class KillTests : IAsyncDisposable
{
    private const int MiB = 1 << 20;
    private const int BusyBlocks = 16 * 1024; // 64 MiB that change between any two backups

    private static readonly TimeSpan s_writeLimit = TimeSpan.FromSeconds(2);

    private readonly TempFolder _folder = new("kill");
    private readonly List<string> _story = [];
    private int _points; // in the vault

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_backup_that_is_killed_at_any_moment_harms_neither_the_vault_nor_the_volume()
    {
        Requires.LiveVolumes();
        int seed = Chance.Seeds(1).Single();
        Random random = new(seed);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 256L * MiB);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        using StampWriter writer = StampWriter.OnNewFile(Path.Combine(volume.MountPoint, "stamps"), new StampField((ulong)seed, 4096), written: false);
        await using BusyWriter busy = new(volume.MountPoint, BusyBlocks, random);
        await BackUpAsync(cli, volume); // compiles, fills caches
        TimeSpan whole = await BackUpAsync(cli, volume);
        _points = 2;
        int kills = Chance.Count("QUENCH_KILLS", 3);
        for (int kill = 0; kill < kills; kill++)
        {
            await KillOneAsync(cli, volume, random.NextDouble() * whole);
        }

        await busy.StopAsync();
        await DemandLastPointRestoresAsync(cli, volume, writer, busy);
        Figures.Say($"seed {seed}: {kills} kills within {whole.TotalMilliseconds:0} ms: {string.Join("; ", _story)}");
    }

    /// <summary>Kills one backup, then demands that all is well at once.</summary>
    private async Task KillOneAsync(QuenchCli cli, LiveVolume volume, TimeSpan moment)
    {
        bool killed;
        using (ProcessRun run = cli.Start("backup", volume.Name, "--diff-area-memory", "160M"))
        {
            killed = await run.KillAfterAsync(moment);
        }

        long since = Stopwatch.GetTimestamp();
        await Task.Run(() => VolumeLife.WriteThrough(volume.MountPoint)).WaitAsync(TimeSpan.FromSeconds(30));
        TimeSpan write = Stopwatch.GetElapsedTime(since);
        Assert.True(write <= s_writeLimit, $"killed at {moment.TotalMilliseconds:0} ms; a write took {write.TotalMilliseconds:0} ms afterwards");
        _story.Add(string.Create(CultureInfo.InvariantCulture, $"at {moment.TotalMilliseconds:0} ms{(killed ? "" : " (had ended)")}, next write {write.TotalMilliseconds:0} ms"));
        await Wait.UntilAsync(VolumeLife.GracePeriodsAreNormal, TimeSpan.FromSeconds(10), "rcu_expedited is switched back");
        await BackUpAsync(cli, volume);
        await cli.RunAsync("verify");
        int points = await cli.CountPointsAsync();
        Assert.InRange(points, _points + 1, _points + 2); // the killed one may have just been committed
        _points = points;
    }

    private static async Task<TimeSpan> BackUpAsync(QuenchCli cli, LiveVolume volume)
    {
        long since = Stopwatch.GetTimestamp();
        await cli.BackupAsync(volume.Name, "--diff-area-memory", "160M");
        return Stopwatch.GetElapsedTime(since);
    }

    private async Task DemandLastPointRestoresAsync(QuenchCli cli, LiveVolume volume, StampWriter writer, BusyWriter busy)
    {
        long before = writer.Acknowledged;
        JsonElement last = await cli.BackupAsync(volume.Name, "--diff-area-memory", "160M");
        long issued = writer.Issued;
        writer.Stop();
        await cli.RunAsync("restore", last.GetProperty("point").GetString()!, _folder["image"], "--yes");
        await RestoredImage.DemandCleanAsync(_folder["image"], VolumeKind.Ext4);
        await using RestoredImage inside = await RestoredImage.MountAsync(_folder["image"], VolumeKind.Ext4, _folder.MakeFolder("image-mount"));
        StampChecker.Check(writer.Field, inside["stamps"]).Demand(before, issued, "the image");
        busy.DemandWhole(_folder["image-mount"], "the busy file in the image");
    }
}
