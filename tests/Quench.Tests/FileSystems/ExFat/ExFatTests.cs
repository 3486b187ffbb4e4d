using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.FileSystems.ExFat;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.ExFat;

/// <summary>exFAT: our maps beside partclone's and dump.exfat's, and what must not be believed.</summary>
public sealed partial class ExFatTests(ITestOutputHelper output)
{
    private const int Flags = 0x6A;

    [Fact]
    public async Task Generated_file_systems_are_mapped_as_partclone_and_dump_exfat_map_them_and_are_whole_when_restored()
    {
        Tool.Require("mkfs.exfat", "dump.exfat", "fsck.exfat", "partclone.exfat", "mount.exfat-fuse");
        Tool.RequireRoot();
        RestoreTrial trial = new(
            image => RestoreTrial.AskAsync("fsck.exfat", "-n", image), (image, folder) => RestoreTrial.ListMountedAsync(image, folder, "mount.exfat-fuse"));
        await GeneratedVolumes.HoldAsync(4, output, async (random, _, folder) =>
            await TryMakeAsync(random, folder["made.img"], folder["mnt"]) is { } recipe ? (recipe, await DifferencesAsync(folder["made.img"], random, trial)) : null);
        trial.Demand(output);
    }

    [Fact]
    public async Task The_facts_are_those_that_were_given()
    {
        byte[] image = await MakeAsync("-L", "A label", "-c", "8K");
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        string serial = $"{ReadUInt16LittleEndian(image.AsSpan(0x66)):X4}-{ReadUInt16LittleEndian(image.AsSpan(0x64)):X4}";
        Assert.Equal(new FileSystemFacts("exfat", "A label", serial, 8192, image.Length, FileSystemState.Clean), ours.FileSystem);
    }

    [Theory]
    [InlineData(VolumeCondition.AtRest, FileSystemState.Unsound, "not unmounted in order")]
    [InlineData(VolumeCondition.Frozen, FileSystemState.Clean, "nothing on it vouches")]
    [InlineData(VolumeCondition.Running, FileSystemState.NeedsRecovery, "in use, not frozen")]
    public async Task One_that_is_marked_as_mounted_is_in_use(VolumeCondition condition, FileSystemState state, string sentence)
    {
        byte[] image = await MakeAsync();
        image[Flags] |= 2;
        VolumeAnalysis ours = await AnalyseAsync(image, condition);
        ExpectDoubt(ours, sentence);
        Assert.Equal(state, ours.FileSystem!.State);
    }

    [Theory]
    [InlineData(VolumeCondition.AtRest)]
    [InlineData(VolumeCondition.Frozen)]
    public async Task One_whose_disk_had_errors_is_in_use_and_to_be_checked_whoever_holds_it(VolumeCondition condition)
    {
        byte[] image = await MakeAsync();
        image[Flags] |= 4;
        VolumeAnalysis ours = await AnalyseAsync(image, condition);
        ExpectDoubt(ours, "noted errors of its disk");
        Assert.Equal(FileSystemState.Unsound, ours.FileSystem!.State);
    }

    [Theory]
    [InlineData(0x48, 0x7FFF_FFFFu, "its volume is shorter")]
    [InlineData(0x54, 1u, "too short or not in its place")]
    [InlineData(0x58, 7u, "too short or not in its place")]
    [InlineData(0x5C, 0x00FF_FFFFu, "not in its place")]
    [InlineData(0x5C, 0u, "has 0 clusters")]
    [InlineData(0x60, 1u, "names cluster 1")]
    [InlineData(0x68, 0x200u, "of revision 2")]
    [InlineData(0x68, 0x4_0100u, "noted errors")]
    [InlineData(0x6C, 0x80_02_03_09u, "two allocation tables")]
    [InlineData(0x6C, 0x80_01_20_09u, "impossible sectors")]
    public async Task A_boot_sector_that_cannot_be_right_puts_everything_in_use(int field, uint value, string sentence)
    {
        byte[] image = await MakeAsync();
        WriteUInt32LittleEndian(image.AsSpan(field), value);
        Seal(image);
        ExpectDoubt(await AnalyseAsync(image), sentence);
    }

    [Fact]
    public async Task A_boot_region_that_was_changed_is_noticed()
    {
        byte[] image = await MakeAsync();
        for (int bit = 0x40 * 8; bit < 512 * 8; bit += 5)
        {
            int at = bit / 8;
            image[at] ^= (byte)(1 << (bit % 8));
            VolumeAnalysis ours = await AnalyseAsync(image);
            bool changes = at is Flags or (Flags + 1) or 0x70;
            Assert.True(changes || ours.FileSystem is null || ours.Doubt is not null, $"bit {bit} went unnoticed");
            image[at] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public async Task A_bitmap_that_frees_the_directory_or_itself_is_noticed()
    {
        byte[] image = await MakeAsync();
        int heap = ReadInt32LittleEndian(image.AsSpan(0x58)) * 512;
        for (int bit = 0; bit < 2; bit++)
        {
            image[heap] ^= (byte)(1 << bit);
            ExpectDoubt(await AnalyseAsync(image), "lies in a cluster that counts as free");
            image[heap] ^= (byte)(1 << bit);
        }
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory()
    {
        byte[] image = await FuzzCorpus.VolumeAsync("exfat", () => MakeAsync());
        int fat = ReadInt32LittleEndian(image.AsSpan(0x50)) * 512;
        int heap = ReadInt32LittleEndian(image.AsSpan(0x58)) * 512;
        int root = heap + ((ReadInt32LittleEndian(image.AsSpan(0x60)) - 2) * 4096);
        await AnalyserFuzz.RunAsync([new("exfat", image, [new Extent(0x40, 0x40), new Extent(11 * 512, 512), new Extent(fat, 64), new Extent(heap, 32), new Extent(root, 96)], Seal)], 32 << 20, output);
    }

    [Fact]
    public async Task A_large_file_system_takes_little_memory()
    {
        Tool.Require("mkfs.exfat", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        await Tool.RunAsync("mkfs.exfat", "-c", "32K", folder["large.img"]);
        await LargeVolume.MapAsync(folder["large.img"], 64 << 20, output);
    }

    private static void Seal(byte[] image)
    {
        uint sum = BootSector.RegionChecksum(image.AsSpan(0, 11 * 512));
        for (int at = 11 * 512; at < 12 * 512; at += 4)
        {
            WriteUInt32LittleEndian(image.AsSpan(at), sum);
        }
    }

    private static async Task<byte[]> MakeAsync(params string[] arguments)
    {
        Tool.Require("mkfs.exfat", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "16M", folder["made.img"]);
        await Tool.RunAsync("mkfs.exfat", [.. arguments, folder["made.img"]]);
        return await File.ReadAllBytesAsync(folder["made.img"]);
    }

    /// <summary>Makes one and fills it through FUSE; null when mkfs.exfat refuses the combination.</summary>
    private static async Task<string?> TryMakeAsync(Random random, string image, string mountPoint)
    {
        long length = (long)((4L << 20) * Math.Pow(100, random.NextDouble())) / 4096 * 4096;
        List<string> arguments = ["-c", $"{1 << random.Next(0, 7)}K"];
        if (random.Next(3) == 0)
        {
            arguments.AddRange(["-b", $"{1 << random.Next(4, 10)}K"]);
        }

        if (random.Next(3) == 0)
        {
            arguments.AddRange(["-L", "Grüße"]);
        }

        if (random.Next(4) == 0)
        {
            arguments.Add("--pack-bitmap");
        }

        await Tool.RunAsync("truncate", "-s", length.ToString(CultureInfo.InvariantCulture), image);
        if ((await Tool.TryRunAsync("mkfs.exfat", [.. arguments, image])).ExitCode != 0)
        {
            return null;
        }

        await using (LoopMount mount = await LoopMount.MountAsync(image, mountPoint, "mount.exfat-fuse"))
        {
            FileWork.Do(mount.Folder, random, length);
        }

        await using FileStream grown = new(image, FileMode.Open, FileAccess.ReadWrite);
        grown.SetLength(length + (random.Next(3) == 0 ? 4608 : 0));
        return $"mkfs.exfat {string.Join(' ', arguments)} ({length} bytes)";
    }

    private static async Task<List<string>> DifferencesAsync(string image, Random random, RestoreTrial trial)
    {
        List<string> differences = [];
        VolumeAnalysis ours;
        await using (TestVolume volume = TestVolume.OverFile(image))
        {
            ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        }

        if (ours.Doubt is not null || ours.FileSystem?.State != FileSystemState.Clean)
        {
            return [$"not mapped: {ours.Doubt} ({ours.FileSystem})"];
        }

        // partclone.exfat 0.3.23 counts clusters from 0 to their number, though the first one is 2, and so does not see the last two; what lies behind them counts as free there, and as in use here.
        // dump.exfat's count vouches for the two, and the restored files do.
        UsedBlocks theirs = await Partclone.AskAsync("partclone.exfat", image, 512);
        UsedBlocks comparable = ours.Used.InBlocksOf(512);
        Extent notSeen = Extent.FromTo(await EndOfHeapAsync(image) - (2L * ours.FileSystem.BlockSize), theirs.VolumeLength);
        theirs.Add(notSeen);
        comparable.Add(notSeen);
        if (MapComparison.Compare(comparable, theirs) is { } difference)
        {
            differences.Add("partclone: " + difference);
        }

        long free = long.Parse(Free().Match(await Tool.RunAsync("dump.exfat", image)).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        long oursFree = (ours.Used.VolumeLength - ours.Used.TotalLength) / ours.FileSystem.BlockSize;
        if (oursFree != free)
        {
            differences.Add($"dump.exfat counts {free} free clusters, we count {oursFree}");
        }

        await trial.AddDifferencesAsync(image, ours.Used, random, differences);
        return differences;
    }

    private static async Task<long> EndOfHeapAsync(string image)
    {
        byte[] boot = new byte[512];
        await using FileStream file = File.OpenRead(image);
        await file.ReadExactlyAsync(boot);
        return (ReadUInt32LittleEndian(boot.AsSpan(0x58)) + ((long)ReadUInt32LittleEndian(boot.AsSpan(0x5C)) << boot[0x6D])) << boot[0x6C];
    }

    [GeneratedRegex(@"Free Clusters:\s+(\d+)")]
    private static partial Regex Free();
}
