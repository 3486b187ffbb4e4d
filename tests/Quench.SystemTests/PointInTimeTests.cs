using System.Globalization;
using System.Text.Json;
using Quench.SystemTests.Harness;
using Quench.SystemTests.PointInTime;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// The promise, seen from outside: an image is the volume after exactly some write. No later stamp, no missing earlier one, whatever the
/// moment, the diff area, the order of reading and the load. QUENCH_ROUNDS says how often, QUENCH_SEED replays.
/// </summary>
public sealed class PointInTimeTests
{
    private const int DefaultRounds = 4;

    private static int Rounds => Chance.Count("QUENCH_ROUNDS", DefaultRounds);

    [Fact]
    public async Task A_snapshot_read_in_any_order_is_the_volume_after_exactly_some_write()
    {
        Requires.LiveVolumes();
        VolumeKind[] kinds = Requires.HasTool("mkfs.xfs")
            ? [VolumeKind.Ext4, VolumeKind.Ext4, VolumeKind.Ext4, VolumeKind.Raw, VolumeKind.Xfs]
            : [VolumeKind.Ext4, VolumeKind.Ext4, VolumeKind.Raw];
        foreach (int seed in Chance.Seeds(Rounds))
        {
            await Round.RunAsync(RoundPlan.From(seed, kinds), RandomOrderReader.CaptureAsync);
        }
    }

    [Fact]
    public async Task The_restored_image_of_a_hot_backup_is_the_volume_after_exactly_some_write()
    {
        Requires.LiveVolumes();
        using TempFolder folder = new("vault");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        foreach (int seed in Chance.Seeds(Rounds))
        {
            await Round.RunAsync(RoundPlan.From(seed, VolumeKind.Ext4, VolumeKind.Ext4, VolumeKind.Ext4, VolumeKind.Raw), round => BackUpAndRestoreAsync(cli, round));
        }

        await cli.RunAsync("verify");
    }

    private static async Task<(long IssuedAtInstant, string Words)> BackUpAndRestoreAsync(QuenchCli cli, Round round)
    {
        IEnumerable<string> options = round.Plan.ToArguments(round.Volume.Scratch);
        IEnumerable<string> prove = round.Plan.Seed % 2 == 0 ? ["--prove"] : [];
        JsonElement summary = await cli.BackupAsync(round.Volume.Name, [.. options, .. prove]);
        long issued = round.Writer.Issued;
        Assert.Equal(round.Plan.Freeze ? "file-system" : "crash", summary.GetProperty("grade").GetString());
        await cli.RunAsync("restore", summary.GetProperty("point").GetString()!, round.Image, "--yes");
        return (issued, string.Create(
            CultureInfo.InvariantCulture,
            $"freeze {summary.GetProperty("freeze_ms")} ms, used {summary.GetProperty("used_bytes")}, new {summary.GetProperty("new_bytes")}"));
    }
}
