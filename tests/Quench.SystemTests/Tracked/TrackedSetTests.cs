using System.Text.Json;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>Several mounted volumes that nobody prepared, imaged at one instant while somebody writes to one after the other. QUENCH_ROUNDS says how often.</summary>
public sealed class TrackedSetTests
{
    private const long MiB = 1L << 20;
    private const int DefaultRounds = 2;

    [Fact]
    public async Task Volumes_that_are_named_together_have_one_instant()
    {
        await using MountedLoop one = await MountedLoop.CreateAsync(VolumeKind.Ext4, 256 * MiB);
        await using MountedLoop other = await MountedLoop.CreateAsync(VolumeKind.Xfs, 320 * MiB);
        using TempFolder folder = new("set");
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await using CounterPair pair = new(Path.Combine(one.MountPoint, "counter"), Path.Combine(other.MountPoint, "counter"));
        for (int round = 0; round < Chance.Count("QUENCH_ROUNDS", DefaultRounds); round++)
        {
            await pair.GoOnAsync(20);
            (MountedLoop first, MountedLoop second) = round % 2 == 0 ? (one, other) : (other, one);
            long before = pair.Written;
            JsonElement summary = await cli.BackupAsync(first.MountPoint, second.Device);
            Assert.Equal(["file-system", "file-system"], summary.GetProperty("volumes").EnumerateArray().Select(volume => volume.GetProperty("grade").GetString()));
            Assert.Equal(round == 0 ? "full" : "changes", summary.GetProperty("volumes")[0].GetProperty("scan").GetString());

            string point = summary.GetProperty("point").GetString()!;
            string left = await RestoreAsync(cli, point, one, folder);
            string right = await RestoreAsync(cli, point, other, folder);
            await using RestoredImage leftFiles = await RestoredImage.MountAsync(left, one.Kind, folder.MakeFolder("left"));
            await using RestoredImage rightFiles = await RestoredImage.MountAsync(right, other.Kind, folder.MakeFolder("right"));
            Assert.InRange(CounterPair.DemandOneInstant(leftFiles["counter"], rightFiles["counter"]), before, pair.Written + 1);
        }
    }

    [Fact]
    public async Task A_volume_that_lies_in_a_file_of_another_one_is_frozen_before_it()
    {
        await using MountedLoop below = await MountedLoop.CreateAsync(VolumeKind.Ext4, 400 * MiB);
        string file = Path.Combine(below.MountPoint, "disk.img");
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", file, "64m");
        using TempFolder folder = new("set");
        string above = (await Tool.RunAsync("losetup", "--find", "--show", file)).Trim();
        try
        {
            await Tool.RunAsync("mount", above, folder.MakeFolder("above"));
            QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
            await using CounterPair pair = new(Path.Combine(folder["above"], "counter"), Path.Combine(below.MountPoint, "counter"));
            await pair.GoOnAsync(5);
            JsonElement summary = await cli.BackupAsync(below.Device, above); // the other order would wait for itself until the guard thaws
            Assert.Equal("file-system", summary.GetProperty("grade").GetString());
            await pair.GoOnAsync(5);

            string point = summary.GetProperty("point").GetString()!;
            string left = await RestoreAsync(cli, point, above, VolumeKind.Ext4, folder);
            string right = await RestoreAsync(cli, point, below, folder);
            await using RestoredImage leftFiles = await RestoredImage.MountAsync(left, VolumeKind.Ext4, folder.MakeFolder("left"));
            await using RestoredImage rightFiles = await RestoredImage.MountAsync(right, VolumeKind.Ext4, folder.MakeFolder("right"));
            CounterPair.DemandOneInstant(leftFiles["counter"], rightFiles["counter"]);
        }
        finally
        {
            await Tool.TryRunAsync("umount", folder["above"]);
            await Tool.RunAsync("losetup", "-d", above);
        }
    }

    [Fact]
    public async Task What_can_not_have_one_instant_is_refused_before_anything_is_read()
    {
        await using MountedLoop loop = await MountedLoop.CreateAsync(VolumeKind.Ext4, 64 * MiB);
        using TempFolder folder = new("set");
        await File.WriteAllBytesAsync(folder["image"], new byte[MiB], TestContext.Current.CancellationToken);
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(folder["vault"]);
        await cli.RefusedAsync(2, "SRC-105", "backup", loop.Device, folder["image"]);
        await cli.RefusedAsync(2, "SRC-105", "backup", loop.Device, loop.MountPoint);
        Assert.Equal("[]", (await cli.RunAsync("list", "--json")).Output.Trim());
    }

    private static Task<string> RestoreAsync(QuenchCli cli, string point, MountedLoop loop, TempFolder folder) => RestoreAsync(cli, point, loop.Device, loop.Kind, folder);

    private static async Task<string> RestoreAsync(QuenchCli cli, string point, string device, VolumeKind kind, TempFolder folder)
    {
        string name = Path.GetFileName(device);
        string image = folder[name + ".img"];
        await cli.RunAsync("restore", point, image, "--volume", name, "--yes");
        if (kind == VolumeKind.Xfs)
        {
            await RestoredImage.ReplayJournalAsync(image, kind, folder.MakeFolder(name)); // its freeze leaves the journal to the next mount
        }

        await RestoredImage.DemandCleanAsync(image, kind);
        return image;
    }
}
