using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Fat;

/// <summary>FAT12, FAT16, FAT32: our maps beside partclone's and fsck.fat's, and what must not be believed.</summary>
public sealed partial class FatTests(ITestOutputHelper output)
{
    [Fact]
    public async Task Generated_file_systems_are_mapped_as_partclone_and_fsck_map_them_and_are_whole_when_restored()
    {
        Tool.Require("mkfs.fat", "fsck.fat", "partclone.fat", "mcopy", "mdel", "fatresize");
        Tool.RequireRoot();
        RestoreTrial trial = new(image => RestoreTrial.AskAsync("fsck.fat", "-n", image), ListAsync);
        await GeneratedVolumes.HoldAsync(8, output, async (random, _, folder) =>
            await TryMakeAsync(random, folder["made.img"], folder) is { } recipe ? (recipe, await DifferencesAsync(folder["made.img"], random, trial)) : null);
        trial.Demand(output);
    }

    /// <summary>What mtools takes out of it: this kernel may not mount it.</summary>
    private static async Task<IReadOnlyList<string>> ListAsync(string image, string folder)
    {
        Directory.CreateDirectory(folder);
        await Tool.TryRunAsync("env", "MTOOLS_SKIP_CHECK=1", "mcopy", "-s", "-n", "-Q", "-i", image, "::*", folder); // it fails where there is nothing
        IReadOnlyList<string> listing = Restored.Listing(folder);
        Directory.Delete(folder, recursive: true);
        return listing;
    }

    [Theory]
    [InlineData(12, "fat12")]
    [InlineData(16, "fat16")]
    [InlineData(32, "fat32")]
    public async Task The_facts_are_those_that_were_given(int bits, string type)
    {
        byte[] image = await MakeAsync(bits, "-i", "1234abcd", "-n", "A LABEL", "-s", "1");
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        Assert.Equal(new FileSystemFacts(type, "A LABEL", "1234-ABCD", 512, image.Length, FileSystemState.Clean), ours.FileSystem);
    }

    [Theory]
    [InlineData(VolumeCondition.AtRest, FileSystemState.Unsound, "not unmounted in order")]
    [InlineData(VolumeCondition.Frozen, FileSystemState.Clean, "nothing on it vouches")]
    [InlineData(VolumeCondition.Running, FileSystemState.NeedsRecovery, "in use, not frozen")]
    public async Task One_that_is_marked_as_mounted_is_in_use(VolumeCondition condition, FileSystemState state, string sentence)
    {
        foreach ((int bits, int place) in new[] { (12, 0x25), (16, 0x25), (32, 0x41) })
        {
            byte[] image = await MakeAsync(bits);
            image[place] |= 1;
            VolumeAnalysis ours = await AnalyseAsync(image, condition);
            Assert.Contains(sentence, ours.Doubt, StringComparison.Ordinal);
            Assert.Equal(state, ours.FileSystem!.State);
            Assert.Equal(image.Length, ours.Used.TotalLength);
        }
    }

    [Fact]
    public async Task The_bits_of_the_second_entry_count_too()
    {
        byte[] image = await MakeAsync(32);
        int fat = FatOf(image);
        SetBoth(image, 4, ReadUInt32LittleEndian(image.AsSpan(fat + 4)) & ~0x0800_0000u);
        ExpectDoubt(await AnalyseAsync(image), "not unmounted in order");
        SetBoth(image, 4, 0x0BFF_FFFF);
        ExpectDoubt(await AnalyseAsync(image), "noted errors");
    }

    [Theory]
    [InlineData(12, 0x25)]
    [InlineData(16, 0x25)]
    [InlineData(32, 0x41)]
    public async Task One_whose_disk_had_errors_is_in_use_and_to_be_checked(int bits, int place)
    {
        byte[] image = await MakeAsync(bits);
        image[place] |= 2;
        VolumeAnalysis ours = await AnalyseAsync(image);
        ExpectDoubt(ours, "noted errors of its disk");
        Assert.Equal(FileSystemState.Unsound, ours.FileSystem!.State);
    }

    [Theory]
    [InlineData(0x20, 0x7FFF_FFFFu, "its volume holds only")]
    [InlineData(0x24, 0x2u, "too short for")]
    [InlineData(0x28, 0x80u, "only one of its allocation tables")]
    [InlineData(0x28, 0x1_0000u, "of version 1")]
    [InlineData(0x2C, 0x99u, "root directory")]
    [InlineData(0x30, 0x60_0001u, "backup lies outside")]
    [InlineData(0x30, 0x07_0001u, "and its backup state different sizes")]
    public async Task A_boot_sector_that_cannot_be_right_puts_everything_in_use(int field, uint value, string sentence)
    {
        byte[] image = await MakeAsync(32);
        bool alsoBackup = field < 0x30;
        WriteUInt32LittleEndian(image.AsSpan(field), value);
        if (alsoBackup)
        {
            WriteUInt32LittleEndian(image.AsSpan((6 * 512) + field), value);
        }

        ExpectDoubt(await AnalyseAsync(image), sentence);
    }

    [Theory]
    [InlineData(40, 0x0000_0040u, "goes on in a cluster that counts as free")]
    [InlineData(40, 0x0F00_0000u, "which does not exist")]
    [InlineData(40, 0x0000_0001u, "which does not exist")]
    [InlineData(0, 0x0FFF_FF00u, "medium's byte")]
    public async Task An_entry_that_contradicts_another_puts_everything_in_use(int entry, uint value, string sentence)
    {
        byte[] image = await MakeAsync(32);
        SetBoth(image, entry * 4, value);
        ExpectDoubt(await AnalyseAsync(image), sentence);
    }

    [Fact]
    public async Task Two_files_in_one_cluster_and_tables_that_differ_put_everything_in_use()
    {
        byte[] image = await MakeAsync(32);
        SetBoth(image, 40 * 4, 50);
        SetBoth(image, 41 * 4, 50);
        SetBoth(image, 50 * 4, 0x0FFF_FFFF);
        ExpectDoubt(await AnalyseAsync(image), "two clusters of the FAT file system lead to cluster 50");
        WriteUInt32LittleEndian(image.AsSpan(FatOf(image) + 164), 0);
        ExpectDoubt(await AnalyseAsync(image), "tables differ");
    }

    [Fact]
    public async Task Bad_clusters_are_left_out()
    {
        byte[] image = await MakeAsync(32);
        long before = (await AnalyseAsync(image)).Used.TotalLength;
        SetBoth(image, 40 * 4, 0x0FFF_FFF7);
        Assert.Equal(before, (await AnalyseAsync(image)).Used.TotalLength);
        SetBoth(image, 40 * 4, 0x0FFF_FFFF);
        Assert.True((await AnalyseAsync(image)).Used.TotalLength > before, "an end of a file counts as in use");
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory()
    {
        List<AnalyserFuzz.Subject> subjects = [];
        foreach (int bits in new[] { 12, 16, 32 })
        {
            byte[] image = await FuzzCorpus.VolumeAsync($"fat{bits}", () => MakeSmallAsync(bits));
            int fat = FatOf(image);
            int copy = fat + FatLengthOf(image);
            subjects.Add(new AnalyserFuzz.Subject($"fat{bits}", image, [new Extent(0, 96), new Extent(6 * 512, 96), new Extent(fat, 400), new Extent(copy, 400)], changed => Seal(changed, fat, copy, bits)));
        }

        await AnalyserFuzz.RunAsync(subjects, 32 << 20, output);
    }

    [Fact]
    public async Task A_large_file_system_takes_little_memory()
    {
        Tool.Require("mkfs.fat", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1023G", folder["large.img"]);
        await Tool.RunAsync("mkfs.fat", "-F", "32", "-s", "128", folder["large.img"]);
        await LargeVolume.MapAsync(folder["large.img"], 64 << 20, output);
    }

    private static void Seal(byte[] image, int fat, int copy, int bits)
    {
        image.AsSpan(fat, 400).CopyTo(image.AsSpan(copy));
        (image[0x1FE], image[0x1FF], image[0]) = (0x55, 0xAA, 0xEB);
        if (bits == 32)
        {
            image.AsSpan(0, 96).CopyTo(image.AsSpan(6 * 512));
        }
    }

    private static int FatOf(byte[] image) => ReadUInt16LittleEndian(image.AsSpan(0x0E)) * 512;

    private static int FatLengthOf(byte[] image) =>
        (ReadUInt16LittleEndian(image.AsSpan(0x16)) is > 0 and ushort few ? few : (int)ReadUInt32LittleEndian(image.AsSpan(0x24))) * 512;

    private static void SetBoth(byte[] image, int at, uint value)
    {
        WriteUInt32LittleEndian(image.AsSpan(FatOf(image) + at), value);
        WriteUInt32LittleEndian(image.AsSpan(FatOf(image) + FatLengthOf(image) + at), value);
    }

    /// <summary>As few clusters as mkfs.fat lets it have: many of them take little time.</summary>
    private static Task<byte[]> MakeSmallAsync(int bits) => MakeOfSizeAsync(bits switch { 12 => "256K", 16 => "3M", _ => "2M" }, bits, "-s", "1");

    private static Task<byte[]> MakeAsync(int bits, params string[] arguments) => MakeOfSizeAsync(bits switch { 12 => "1M", 16 => "20M", _ => "36M" }, bits, arguments);

    private static async Task<byte[]> MakeOfSizeAsync(string size, int bits, params string[] arguments)
    {
        Tool.Require("mkfs.fat", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", size, folder["made.img"]);
        await Tool.RunAsync("mkfs.fat", ["-F", bits.ToString(CultureInfo.InvariantCulture), .. arguments, folder["made.img"]]);
        return await File.ReadAllBytesAsync(folder["made.img"]);
    }

    /// <summary>Makes one and fills it; null when mkfs.fat refuses the combination.</summary>
    private static async Task<string?> TryMakeAsync(Random random, string image, TempFolder folder)
    {
        int bits = random.GetItems([12, 16, 32], 1)[0];
        int sector = random.GetItems([512, 512, 512, 1024, 4096], 1)[0];
        long least = bits switch { 12 => 256L << 10, 16 => 9L << 20, _ => 40L << 20 };
        long length = (long)(least * Math.Pow(12, random.NextDouble())) / sector * sector;
        List<string> arguments = ["-F", $"{bits}", "-S", $"{sector}"];
        AddSometimes(random, arguments, 2, "-s", $"{1 << random.Next(0, bits == 12 ? 5 : 3)}");
        AddSometimes(random, arguments, 4, "-f", "1");
        AddSometimes(random, arguments, 3, "-a");
        AddSometimes(random, arguments, 4, "-R", $"{random.Next(8, 40)}");
        AddSometimes(random, arguments, 4, "-n", "SOME NAME");
        await Tool.RunAsync("truncate", "-s", length.ToString(CultureInfo.InvariantCulture), image);
        if ((await Tool.TryRunAsync("mkfs.fat", [.. arguments, image])).ExitCode != 0)
        {
            return null;
        }

        await FillAsync(random, image, folder, length);
        string resized = bits == 12 ? "" : await ResizeAsync(random, image, length);
        int tail = random.Next(3) == 0 ? random.Next(1, 40) * 512 : 0;
        await using FileStream grown = File.OpenWrite(image);
        grown.SetLength(grown.Length + tail);
        return $"mkfs.fat {string.Join(' ', arguments)} ({length} + {tail} bytes{resized})";
    }

    /// <summary>Puts files in, takes some out, and puts others into the holes; fsck.fat then takes what did not fit.</summary>
    private static async Task FillAsync(Random random, string image, TempFolder folder, long length)
    {
        foreach (string name in (string[])["content", "later"])
        {
            string content = Directory.CreateDirectory(folder[name]).FullName;
            FileWork.Do(content, random, name == "later" ? length / 2 : length);
            await Tool.TryRunAsync("env", ["MTOOLS_SKIP_CHECK=1", "mcopy", "-s", "-D", "s", "-i", image, .. Directory.GetFileSystemEntries(content).Order(StringComparer.Ordinal), "::"]); // a full one is as good
            await Tool.TryRunAsync("env", "MTOOLS_SKIP_CHECK=1", "mdel", "-i", image, "::folder1/file1", "::folder2/*", "::a folder with a name that is rather long/turns/in turns 1");
            Directory.Delete(content, recursive: true);
        }

        await Tool.TryRunAsync("fsck.fat", "-a", image);
    }

    /// <summary>Makes it shorter or longer now and then, where fatresize does.</summary>
    private static async Task<string> ResizeAsync(Random random, string image, long length)
    {
        long wanted = random.Next(4) switch { 0 => length * random.Next(5, 10) / 10, 1 => length * random.Next(11, 20) / 10, _ => 0 } / 65536 * 65536;
        if (wanted == 0)
        {
            return "";
        }

        await Tool.RunAsync("truncate", "-s", $">{wanted}", image);
        string before = image + ".before";
        await Tool.RunAsync("cp", "--sparse=always", image, before);
        string loop = (await Tool.RunAsync("losetup", "-f", "--show", image)).Trim();
        int code;
        try
        {
            code = (await Tool.TryRunAsync("fatresize", "-f", "-q", "-n", "1", "-s", $"{wanted}", loop)).ExitCode;
        }
        finally
        {
            await Tool.RunAsync("losetup", "-d", loop);
        }

        if (code == 0 && (await Tool.TryRunAsync("fsck.fat", "-n", image)).ExitCode == 0)
        {
            await ClearLeftoverAsync(image);
            return $", resized to {wanted}";
        }

        await Tool.RunAsync("cp", "--sparse=always", before, image);
        return "";
    }

    /// <summary>Where FAT16 keeps its state, fatresize leaves the middle of the table's length of the FAT32 that it has turned into one.</summary>
    private static async Task ClearLeftoverAsync(string image)
    {
        await using FileStream file = new(image, FileMode.Open);
        byte[] boot = new byte[512];
        await file.ReadExactlyAsync(boot, TestContext.Current.CancellationToken);
        if (boot.AsSpan(0x36, 5).SequenceEqual("FAT16"u8))
        {
            file.Position = 0x25;
            file.WriteByte(0);
        }
    }

    private static void AddSometimes(Random random, List<string> arguments, int oneIn, params ReadOnlySpan<string> added)
    {
        if (random.Next(oneIn) == 0)
        {
            arguments.AddRange(added);
        }
    }

    private static async Task<List<string>> DifferencesAsync(string image, Random random, RestoreTrial trial)
    {
        List<string> differences = [];
        await using TestVolume volume = TestVolume.OverFile(image);
        VolumeAnalysis ours = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken);
        if (ours.Doubt is not null || ours.FileSystem?.State != FileSystemState.Clean)
        {
            return [$"not mapped: {ours.Doubt} ({ours.FileSystem})"];
        }

        // partclone.fat 0.3.23 leaves out a cluster on FAT12 (it maps a file of three clusters as two, where fsck.fat counts three): fsck.fat alone is the witness there.
        if (ours.FileSystem.Type != "fat12" && MapComparison.Compare(ours.Used.InBlocksOf(512), await Partclone.AskAsync("partclone.fat", image, 512)) is { } difference)
        {
            differences.Add("partclone: " + difference);
        }

        Match total = Clusters().Match((await Tool.TryRunAsync("fsck.fat", "-n", image)).Output);
        long free = long.Parse(total.Groups[2].ValueSpan, CultureInfo.InvariantCulture) - long.Parse(total.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        long oursFree = (ours.Used.VolumeLength - ours.Used.TotalLength) / ours.FileSystem.BlockSize;
        if (oursFree != free)
        {
            differences.Add($"fsck.fat counts {free} free clusters, we count {oursFree}");
        }

        await trial.AddDifferencesAsync(image, ours.Used, random, differences);
        return differences;
    }

    [GeneratedRegex(@"(\d+)/(\d+) clusters")]
    private static partial Regex Clusters();
}
