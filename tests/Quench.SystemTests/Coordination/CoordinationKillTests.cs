using System.Diagnostics;
using System.Globalization;
using Quench.Snapshots.Providers.Filter;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Coordination;

/// <summary>
/// The coordinator, the writer or the provider's worker is killed between freeze and thaw: the application and the file system can write again within the limit and a quarter of a
/// second. QUENCH_COORDINATION_KILLS says how often.
/// </summary>
public sealed class CoordinationKillTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_slack = TimeSpan.FromMilliseconds(250);

    [Fact]
    public async Task Whoever_is_killed_nothing_stays_frozen()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3", "flock");
        int kills = Chance.Count("QUENCH_COORDINATION_KILLS", 6);
        int seed = Chance.Seeds(1).Single();
        Figures.Say($"QUENCH_SEED={seed}");
        Random chance = new(seed);
        using TempFolder folder = new("coordination-kills");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, 64L << 20);
        WriterProgram writer = new(folder, Path.Combine(volume.MountPoint, "data"), "if event == 'thaw': time.sleep(0.1)", lingerSeconds: "0.15");
        List<double> waits = [];
        for (int kill = 0; kill < kills; kill++)
        {
            File.Delete(writer.Mark);
            using ProcessRun backup = cli.Start("backup", volume.Name, "--writer-folder", writer.Folder, "--writer-limit", "2", "--provider-limit", "1", "--freeze-limit", "1");
            await Wait.UntilAsync(() => File.Exists(writer.Mark) || backup.HasExited, TimeSpan.FromSeconds(60), "the writer holds");
            Assert.False(backup.HasExited, $"kill {kill}: the backup ended before the writer held");
            long since = Stopwatch.GetTimestamp();
            await KillAsync(kill % 3, volume, writer, backup, TimeSpan.FromMilliseconds(chance.Next(0, 250)));
            await writer.WaitUntilFreeAsync();
            await Task.Run(() => VolumeLife.WriteThrough(volume.MountPoint), TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
            waits.Add(Stopwatch.GetElapsedTime(since).TotalMilliseconds);
            await backup.EndAsync(TimeSpan.FromSeconds(60));
        }

        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"{kills} kills between freeze and thaw: writing again after {Figures.Percentile(waits, 0.5):0} ms, at most {waits.Max():0} ms"));
        Assert.True(waits.Max() <= (s_limit + s_slack).TotalMilliseconds, $"something stayed frozen for {waits.Max():0} ms");
        await Wait.UntilAsync(VolumeLife.GracePeriodsAreNormal, TimeSpan.FromSeconds(10), "the kernel is as it was");
    }

    private static async Task KillAsync(int whom, LiveVolume volume, WriterProgram writer, ProcessRun backup, TimeSpan moment)
    {
        switch (whom)
        {
            case 0:
                await backup.KillAfterAsync(moment);
                break;
            case 1:
                await Holders.KillAsync(int.Parse(await File.ReadAllTextAsync(writer.Mark), CultureInfo.InvariantCulture));
                break;
            default:
                await Holders.KillAsync(FilterVolumes.GetSupervision(volume.Attached)!.WorkerId);
                break;
        }
    }
}
