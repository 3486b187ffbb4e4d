using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Quench.Blocks;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>A disk that came back onto a larger one with its last partition grown: the file system in it grows into the room by its own tool, and has its files.</summary>
public sealed class GrownPartitionTests : IDisposable
{
    private const int DiskMiB = 400;
    private const int LargerMiB = 640;
    private const int FileBytes = 5_000_000;

    private readonly TempFolder _folder = new("grown-partition");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("ext4", "gpt", "2")]
    [InlineData("xfs", "gpt", "2")]
    [InlineData("btrfs", "dos", "2")]
    [InlineData("ntfs", "dos", "5")]
    public async Task Its_file_system_grows_into_the_room_and_has_its_files(string fileSystem, string label, string partition)
    {
        Requires.Tool("sfdisk", "losetup", "sha256sum");
        Requires.Tool(ToolsFor(fileSystem));
        string disk = _folder["disk.img"];
        await Tool.RunAsync("truncate", "--size", $"{DiskMiB}M", disk);
        await File.WriteAllTextAsync(_folder["table"], TableOf(label, partition), Token);
        await Tool.RunAsync("sh", "-c", $"sfdisk --quiet {disk} < {_folder["table"]}");
        string sum = await FillAsync(disk, partition, fileSystem);

        QuenchCli cli = await QuenchCli.WithNewVaultAsync(_folder["vault"]);
        string point = (await cli.BackupAsync(disk)).GetProperty("point").GetString()!;
        string larger = _folder["larger.img"];
        await Tool.RunAsync("truncate", "--size", $"{LargerMiB}M", larger);
        await cli.RunAsync("restore", point, larger, "--grow-last", "--yes");

        Extent place = await PlaceAsync(larger, partition);
        Assert.InRange(place.Length, (LargerMiB - 24L) << 20, LargerMiB << 20);
        await using LoopedFile part = await LoopedFile.AttachAsync(larger, place);
        string folder = _folder.MakeFolder("grown");
        await GrowAsync(part.Device, folder, fileSystem);
        await DemandSoundAsync(part.Device, fileSystem);
        await using (await MountedAsync(part.Device, folder, fileSystem))
        {
            string size = await Tool.RunAsync("df", "--block-size=1", "--output=size", folder);
            Assert.InRange(long.Parse(size.Split('\n')[1], CultureInfo.InvariantCulture), place.Length - (place.Length / 8), place.Length); // what a file system keeps for itself is not in its size
            Assert.Equal(sum, await SumAsync(folder));
        }
    }

    private static string[] ToolsFor(string fileSystem) => fileSystem switch
    {
        "ext4" => ["mkfs.ext4", "e2fsck", "resize2fs"],
        "xfs" => ["mkfs.xfs", "xfs_growfs", "xfs_repair"],
        "btrfs" => ["mkfs.btrfs", "btrfs"],
        _ => ["mkntfs", "ntfsresize", "ntfsfix", "ntfs-3g"],
    };

    /// <summary>A partition of eight mebibytes, and one of all the rest; the fifth is a logical one, in an extended one of all the rest.</summary>
    private static string TableOf(string label, string partition) => partition == "5"
        ? $"label: {label}\nsize=8M\ntype=extended\ntype=7\n"
        : $"label: {label}\nsize=8M\ntype=linux\n";

    /// <summary>Makes the file system, and a file in it, whose hash is returned.</summary>
    private async Task<string> FillAsync(string disk, string partition, string fileSystem)
    {
        await using LoopedFile part = await LoopedFile.AttachAsync(disk, await PlaceAsync(disk, partition));
        string[] make = fileSystem switch { "ext4" => ["mkfs.ext4", "-q", "-F"], "xfs" => ["mkfs.xfs", "-q", "-f"], "btrfs" => ["mkfs.btrfs", "-q", "-f"], _ => ["mkntfs", "-q", "-F", "-Q"] };
        await Tool.RunAsync(make[0], [.. make[1..], part.Device]);
        string folder = _folder.MakeFolder("made");
        await using (await MountedAsync(part.Device, folder, fileSystem))
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, "file"), RandomNumberGenerator.GetBytes(FileBytes), Token);
            return await SumAsync(folder);
        }
    }

    private static async Task GrowAsync(string device, string folder, string fileSystem)
    {
        if (fileSystem == "ext4")
        {
            await Tool.RunAsync("e2fsck", "-f", "-p", device);
            await Tool.RunAsync("resize2fs", device);
        }
        else if (fileSystem == "ntfs")
        {
            await Tool.RunAsync("ntfsresize", "--force", "--force", "--no-progress-bar", device);
            await Tool.RunAsync("ntfsfix", "--clear-dirty", device); // it leaves the volume to be checked by Windows
        }
        else
        {
            await using (await MountedAsync(device, folder, fileSystem))
            {
                await (fileSystem == "xfs" ? Tool.RunAsync("xfs_growfs", folder) : Tool.RunAsync("btrfs", "filesystem", "resize", "max", folder));
            }
        }
    }

    private static Task DemandSoundAsync(string device, string fileSystem) => fileSystem == "ntfs"
        ? Tool.RunAsync("ntfsfix", "--no-action", device)
        : RestoredImage.DemandCleanAsync(device, Enum.Parse<VolumeKind>(fileSystem, ignoreCase: true));

    private static async Task<MountedPart> MountedAsync(string device, string folder, string fileSystem)
    {
        await Tool.RunAsync("mount", "-t", fileSystem == "ntfs" ? "ntfs-3g" : fileSystem, device, folder);
        return new MountedPart(folder);
    }

    private static async Task<string> SumAsync(string folder) => (await Tool.RunAsync("sha256sum", Path.Combine(folder, "file"))).Split(' ')[0];

    private static async Task<Extent> PlaceAsync(string disk, string partition)
    {
        using JsonDocument table = JsonDocument.Parse(await Tool.RunAsync("sfdisk", "--json", disk));
        JsonElement found = table.RootElement.GetProperty("partitiontable").GetProperty("partitions").EnumerateArray()
            .Single(one => one.GetProperty("node").GetString()!.EndsWith("img" + partition, StringComparison.Ordinal));
        return new Extent(found.GetProperty("start").GetInt64() * 512, found.GetProperty("size").GetInt64() * 512);
    }

    private sealed class MountedPart(string folder) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await Tool.RunAsync("umount", folder);
    }
}
