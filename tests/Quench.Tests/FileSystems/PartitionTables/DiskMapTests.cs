using Quench.Blocks;
using Quench.FileSystems;
using Xunit;

namespace Quench.Tests.FileSystems.PartitionTables;

/// <summary>The map of a disk: each partition as if it were alone, and of the rest what may hold boot code.</summary>
public sealed class DiskMapTests
{
    private const long MiB = 1 << 20;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("gpt", 2048)]
    [InlineData("dos", 2048)]
    [InlineData("dos", 63)]
    public async Task A_partition_on_a_disk_has_in_use_what_it_has_alone(string label, int first)
    {
        Tool.Require("sfdisk", "mkfs.ext4", "mkfs.fat");
        using TempFolder folder = new();
        string disk = await MakeAsync(folder, label, first);
        await using TestVolume volume = TestVolume.OverFile(disk);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        Assert.Null(found.Doubt);
        Assert.Equal(["ext4", "fat16"], found.Disk!.Partitions.Select(content => content.FileSystem?.Type));
        Assert.Equal(["root", "SMALL"], found.Disk.Partitions.Select(content => content.FileSystem?.Label));
        ExtentSet expected = [];
        foreach (PartitionContent content in found.Disk.Partitions)
        {
            VolumeAnalysis alone = await AnalyseAloneAsync(folder[$"part{content.Partition.Number}"]);
            Assert.Equal(alone.Used.TotalLength, content.UsedBytes);
            foreach (Extent run in alone.Used.Runs())
            {
                expected.Add(new Extent(run.Offset + content.Partition.Extent.Offset, run.Length).AlignOut(4096));
            }
        }

        foreach (DiskGap gap in found.Disk.Gaps)
        {
            Assert.True(gap.UsedBytes == Math.Min(gap.Extent.Length, 17 * MiB));
            expected.Add(gap.Extent.Length <= 17 * MiB ? gap.Extent.AlignOut(4096) : new Extent(gap.Extent.Offset, 16 * MiB).AlignOut(4096));
            expected.Add(new Extent(Math.Max(gap.Extent.Offset, gap.Extent.End - MiB), Math.Min(gap.Extent.Length, MiB)).AlignOut(4096));
        }

        Assert.Equal(expected.Select(run => run.Intersect(volume.Geometry.Whole)), found.Used.Runs());
        Assert.InRange(found.Used.TotalLength, 1, volume.Geometry.Length / 2);
    }

    [Fact]
    public async Task A_boot_record_is_read_in_the_sectors_in_which_something_is_recognised()
    {
        Tool.Require("mkfs.ext4");
        using TempFolder folder = new();
        byte[] image = new byte[64 * MiB];
        TestDisk.WriteEntry(image.AsSpan(446), 0x83, 256, 4096); // 16 MiB at 1 MiB, in sectors of 4096 bytes
        (image[510], image[511]) = (0x55, 0xAA);
        await File.WriteAllBytesAsync(folder["part1"], new byte[16 * MiB], Token);
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", folder["part1"]);
        (await File.ReadAllBytesAsync(folder["part1"], Token)).CopyTo(image, MiB);
        VolumeAnalysis found = await Judgement.AnalyseAsync(image);
        Assert.Null(found.Doubt);
        Assert.Equal((4096, "ext4", MiB), (found.Disk!.Table.SectorSize, found.Disk.Partitions[0].FileSystem?.Type, found.Disk.Partitions[0].Partition.Extent.Offset));
        image.AsSpan((int)MiB, (int)(16 * MiB)).Clear();
        await Judgement.ExpectDoubtAsync(image, "in sectors of 512 bytes or of 4096");
    }

    [Fact]
    public async Task An_unsound_partition_makes_the_disk_unsound()
    {
        Tool.Require("sfdisk", "mkfs.ext4", "mkfs.fat");
        using TempFolder folder = new();
        string disk = await MakeAsync(folder, "gpt", 2048);
        await using (FileStream file = new(disk, FileMode.Open))
        {
            file.Position = MiB + 1024 + 0x3A; // s_state: errors were noted
            file.WriteByte(2);
        }

        await using TestVolume volume = TestVolume.OverFile(disk);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
        Assert.Equal(FileSystemState.Unsound, found.FileSystem!.State);
        Assert.Equal(FileSystemState.Clean, found.Disk!.Partitions[1].FileSystem!.State);
    }

    /// <summary>A disk of 160 MiB: ext4 of 48 MiB, FAT of 16 MiB behind it, and the rest left over.</summary>
    private static async Task<string> MakeAsync(TempFolder folder, string label, int first)
    {
        string disk = folder["disk"];
        await SetLengthAsync(disk, 160 * MiB);
        await SetLengthAsync(folder["part1"], 48 * MiB);
        await SetLengthAsync(folder["part2"], 16 * MiB);
        await Tool.RunAsync("mkfs.ext4", "-q", "-F", "-L", "root", "-O", "^metadata_csum", folder["part1"]);
        await Tool.RunAsync("mkfs.fat", "-F", "16", "-n", "SMALL", folder["part2"]);
        long second = first + (50 * 2048);
        await File.WriteAllTextAsync(folder["script"], $"label: {label}\nstart={first}, size={48 * 2048}\nstart={second}, size={16 * 2048}\n", Token);
        await Tool.RunAsync("sh", "-c", $"PATH=$PATH:/usr/sbin sfdisk -q --no-reread {disk} < {folder["script"]} 2>&1");
        await using FileStream target = new(disk, FileMode.Open);
        foreach ((string part, long at) in ((string, long)[])[(folder["part1"], first), (folder["part2"], second)])
        {
            await using FileStream source = File.OpenRead(part);
            target.Position = at * 512;
            await source.CopyToAsync(target, Token);
        }

        return disk;
    }

    private static async Task<VolumeAnalysis> AnalyseAloneAsync(string path)
    {
        await using TestVolume volume = TestVolume.OverFile(path);
        return await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, Token);
    }

    private static async Task SetLengthAsync(string path, long length)
    {
        await using FileStream file = File.Create(path);
        file.SetLength(length);
    }
}
