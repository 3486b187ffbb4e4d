using System.Text.Json;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.SystemTests.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Shadow;

/// <summary>Several attached volumes at one instant: in a backup, and as persistent snapshots, with the applications that lie on them.</summary>
public sealed class SnapshotSetTests
{
    private const long Length = 64L << 20;
    private const int Rounds = 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Volumes_that_are_not_even_mounted_have_one_instant_while_a_program_writes_to_both_in_turn()
    {
        Requires.LiveVolumes();
        await using LiveVolume first = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        await using LiveVolume second = await LiveVolume.CreateAsync(VolumeKind.Raw, Length);
        List<string> differences = [];
        await using (PairWriter writer = new(first.Device, second.Device))
        {
            for (int round = 0; round < Rounds; round++)
            {
                writer.More(20);
                IReadOnlyList<ISnapshot> set = await FilterProvider.TakeSetAsync(
                    [first.Attached, second.Attached], new SnapshotOptions { MemoryBytes = 8 << 20 }, TimeProvider.System, Token);
                writer.More(20);
                differences.AddRange(await PairWriter.DifferencesAsync(set[0].Reader, set[1].Reader, Token));
                Assert.Equal(set[0].Instant, set[1].Instant);
                foreach (ISnapshot snapshot in set)
                {
                    Assert.Equal(SnapshotGrade.Crash, snapshot.Grade);
                    await snapshot.DisposeAsync();
                }
            }
        }

        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    [Fact]
    public async Task A_backup_of_two_attached_volumes_is_one_point_and_an_application_on_both_is_whole_in_it()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        await using LiveVolume first = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await using LiveVolume second = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("set");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(first.MountPoint, "data"), alsoIn: Directory.CreateDirectory(Path.Combine(second.MountPoint, "more")).FullName);
        JsonElement half = await cli.BackupAsync(first.Name, "--writer-folder", writer.Folder);
        Assert.Equal("file-system", half.GetProperty("grade").GetString());

        JsonElement both = await cli.BackupAsync(first.Name, second.Name, "--writer-folder", writer.Folder, "--prove", "--require", "application");
        JsonElement[] volumes = [.. both.GetProperty("volumes").EnumerateArray()];
        Assert.Equal([(first.Name, "application"), (second.Name, "application")], volumes.Select(volume => (volume.GetProperty("name").GetString(), volume.GetProperty("grade").GetString())));
        Assert.True(await writer.IsFreeAsync());
        await DemandRestoresAsync(cli, folder, both, first, second);

        JsonElement again = await cli.BackupAsync(first.Name, second.Name, "--no-writers");
        foreach (JsonElement volume in again.GetProperty("volumes").EnumerateArray())
        {
            Assert.Equal("changes", volume.GetProperty("scan").GetString());
        }

        await DemandRestoresAsync(cli, folder, again, first, second);
    }

    [Fact]
    public async Task What_cannot_have_one_instant_is_refused_before_anything_is_touched()
    {
        Requires.LiveVolumes();
        await using LiveVolume volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await using LiveVolume other = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("set");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        File.Copy(volume.Origin, folder["cold.img"]);
        await cli.RefusedAsync(2, "SRC-105", "backup", volume.Name, volume.MountPoint);
        await cli.RefusedAsync(2, "SRC-105", "backup", volume.Name, folder["cold.img"]);
        await cli.RefusedAsync(2, "CLI-153", "backup", volume.Name, other.Name, "--quiet-wait=10s");
        await cli.RefusedAsync(2, "SNAP-107", "backup", volume.Name, other.Name, "--diff-area", other.MountPoint);
        Assert.Equal(0, await cli.CountPointsAsync());
    }

    [Fact]
    public async Task A_persistent_snapshot_says_which_applications_held_and_require_keeps_none_when_one_did_not()
    {
        Requires.LiveVolumes();
        Requires.Tool("python3");
        await using LiveVolume first = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        await using LiveVolume second = await LiveVolume.CreateAsync(VolumeKind.Ext4, Length);
        using TempFolder folder = new("set");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        WriterProgram writer = new(folder, Path.Combine(first.MountPoint, "data"));
        ProcessResult held = await cli.RunAsync("snapshot", "create", first.Name, second.Name, "--writer-folder", writer.Folder, "--json");
        JsonElement[] taken = [.. held.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal(["application", "file-system"], taken.Select(one => one.GetProperty("grade").GetString()));
        Assert.Equal(taken[0].GetProperty("set").GetString(), taken[1].GetProperty("set").GetString());
        Assert.True(taken[0].GetProperty("writers")[0].GetProperty("consistent").GetBoolean());
        Assert.Contains("Test held: files", (await cli.RunAsync("snapshot", "show", first.Name, "1")).Output, StringComparison.Ordinal);
        Assert.True(await writer.IsFreeAsync());

        using TempFolder others = new("set-late");
        WriterProgram late = new(others, Path.Combine(first.MountPoint, "data"), "if event == 'freeze': raise Failed('the queue is full')");
        ProcessResult refused = await cli.TryRunAsync("snapshot", "create", first.Name, "--writer-folder", late.Folder, "--require", "application");
        Assert.True(refused.ExitCode == 3, refused.ToString());
        Assert.Contains("the queue is full", refused.Error, StringComparison.Ordinal);
        Assert.Single(PersistentSnapshots.List(first.Attached, measured: false).Snapshots);
        Assert.True(await late.IsFreeAsync());
    }

    private static async Task DemandRestoresAsync(QuenchCli cli, TempFolder folder, JsonElement summary, params LiveVolume[] volumes)
    {
        string point = summary.GetProperty("point").GetString()!;
        foreach (LiveVolume volume in volumes)
        {
            string image = folder[$"{volume.Name}-{point}.img"];
            await cli.RunAsync("restore", point, image, "--volume", volume.Name, "--yes");
            await RestoredImage.DemandCleanAsync(image, VolumeKind.Ext4);
        }
    }
}
