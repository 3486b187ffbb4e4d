using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Ntfs;

/// <summary>NTFS: our maps beside partclone's and ntfsinfo's, and what must not be believed.</summary>
public sealed partial class NtfsTests(ITestOutputHelper output)
{
    private const int Cluster = 4096;
    private const int Table = 4 * Cluster;
    private const int Record = 1024;

    [Fact]
    public async Task Generated_file_systems_are_mapped_as_partclone_and_ntfsinfo_map_them_and_are_whole_when_restored()
    {
        Tool.Require("mkntfs", "ntfsinfo", "partclone.ntfs", "ntfs-3g", "ntfsresize", "ntfsfix");
        Tool.RequireRoot();
        RestoreTrial trial = new(CheckAsync, ListAsync);
        await GeneratedVolumes.HoldAsync(4, output, async (random, _, folder) =>
            await TryMakeAsync(random, folder["made.img"], folder["mnt"]) is { } recipe ? (recipe, await DifferencesAsync(folder["made.img"], random, trial)) : null);
        trial.Demand(output);
    }

    private static async Task<IReadOnlyList<string>> ListAsync(string image, string folder) =>
        await RestoreTrial.ListMountedAsync(image, folder, "ntfs-3g", sectorSize: ReadUInt16LittleEndian((await BootSectorAsync(image)).AsSpan(0x0B)));

    /// <summary>
    /// ntfsresize counts every file's clusters against the bitmap before it would do anything. ntfsfix looks at the boot sectors and the start of the file table; of a file it knows sectors of
    /// 512 bytes only, and it looks for the copy of the boot sector at the file's end.
    /// </summary>
    private static async Task<string?> CheckAsync(string image)
    {
        byte[] boot = await BootSectorAsync(image);
        bool endsWithCopy = ReadUInt16LittleEndian(boot.AsSpan(0x0B)) == 512 && (ReadInt64LittleEndian(boot.AsSpan(0x28)) + 1) * 512 == new FileInfo(image).Length;
        string? wrong = endsWithCopy ? await RestoreTrial.AskAsync("ntfsfix", "-n", image) : null;
        wrong ??= await RestoreTrial.AskAsync("ntfsresize", "--info", "-f", "--no-progress-bar", image);
        return wrong?.Contains("ERROR: Volume is full.", StringComparison.Ordinal) ?? false ? null : wrong; // it has counted, and could not make it smaller
    }

    private static async Task<byte[]> BootSectorAsync(string image)
    {
        byte[] boot = new byte[512];
        await using FileStream file = File.OpenRead(image);
        await file.ReadExactlyAsync(boot);
        return boot;
    }

    [Fact]
    public async Task The_facts_are_those_that_were_given()
    {
        byte[] image = await MakeAsync("-L", "Grüße");
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Null(ours.Doubt);
        string serial = $"{ReadUInt64LittleEndian(image.AsSpan(0x48)):X16}";
        Assert.Equal(new FileSystemFacts("ntfs", "Grüße", serial, Cluster, image.Length - 512, FileSystemState.Clean), ours.FileSystem);
    }

    [Theory]
    [InlineData(VolumeCondition.AtRest, FileSystemState.Unsound, "is marked dirty")]
    [InlineData(VolumeCondition.Frozen, FileSystemState.Clean, "is marked dirty")]
    [InlineData(VolumeCondition.Running, FileSystemState.NeedsRecovery, "in use and not frozen")]
    public async Task One_that_is_marked_dirty_is_in_use(VolumeCondition condition, FileSystemState state, string sentence)
    {
        byte[] image = await MakeAsync();
        byte[] information = [0x70, 0, 0, 0];
        int at = Table + (3 * Record) + image.AsSpan(Table + (3 * Record), Record).IndexOf(information);
        int flags = at + ReadUInt16LittleEndian(image.AsSpan(at + 0x14)) + 10;
        image[flags] = 1;
        image[MirrorOf(image) + flags - Table] = 1;
        VolumeAnalysis ours = await AnalyseAsync(image, condition);
        ExpectDoubt(ours, sentence);
        Assert.Equal(state, ours.FileSystem!.State);
    }

    [Theory]
    [InlineData(1, 0, 0, true)]
    [InlineData(1, 0, 2, false)]
    [InlineData(1, 0xFFFF, 0, false)]
    [InlineData(2, 0xFFFF, 2, true)]
    public async Task A_log_that_was_not_closed_puts_everything_in_use(ushort version, ushort client, ushort flags, bool isPending)
    {
        byte[] image = await MakeAsync();
        int log = LogOf(image);
        foreach (int page in new[] { log, log + 4096 })
        {
            image.AsSpan(page, 4096).Clear();
            "RSTR"u8.CopyTo(image.AsSpan(page));
            WriteUInt16LittleEndian(image.AsSpan(page + 0x18), 0x30);
            WriteUInt16LittleEndian(image.AsSpan(page + 0x1C), version);
            WriteUInt16LittleEndian(image.AsSpan(page + 0x30 + 12), client);
            WriteUInt16LittleEndian(image.AsSpan(page + 0x30 + 14), flags);
        }

        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Equal(isPending, ours.Doubt?.Contains("was not closed", StringComparison.Ordinal) ?? false);
        Assert.Equal(isPending ? FileSystemState.NeedsRecovery : FileSystemState.Clean, ours.FileSystem!.State);
    }

    [Theory]
    [InlineData(0x0B, 100u, "sectors of 100 bytes")]
    [InlineData(0x0D, 3u, "clusters of")]
    [InlineData(0x28, 0x00FF_FFFFu, "its volume is shorter")]
    [InlineData(0x30, 0x00FF_FFFFu, "file table lies outside")]
    [InlineData(0x30, 9u, "record")]
    [InlineData(0x40, 0xF0u, "records of")]
    [InlineData(0x4C, 0x1234u, "backup differ")]
    public async Task A_boot_sector_that_cannot_be_right_puts_everything_in_use(int field, uint value, string sentence)
    {
        byte[] image = await MakeAsync();
        WriteUInt16LittleEndian(image.AsSpan(field), (ushort)(value & 0xFFFF));
        if (value > 0xFFFF)
        {
            WriteUInt32LittleEndian(image.AsSpan(field), value);
        }

        if (field != 0x4C)
        {
            image.AsSpan(0, 512).CopyTo(image.AsSpan(image.Length - 512));
        }

        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.NotNull(ours.Doubt);
        Assert.Equal(image.Length, ours.Used.TotalLength);
        Assert.True(ours.Doubt.Contains(sentence, StringComparison.Ordinal) || field == 0x30, ours.Doubt);
    }

    [Fact]
    public async Task A_torn_record_and_a_mirror_that_differs_are_noticed()
    {
        byte[] image = await MakeAsync();
        image[Table + 510] ^= 1;
        ExpectDoubt(await AnalyseAsync(image), "was torn");
        image[Table + 510] ^= 1;
        image[Table + 0x40] ^= 1;
        ExpectDoubt(await AnalyseAsync(image), "differs from its mirror");
    }

    [Fact]
    public async Task A_bitmap_that_frees_the_file_table_is_noticed()
    {
        byte[] image = await MakeAsync();
        int bitmap = BitmapOf(image);
        image[bitmap] ^= 1 << 4;
        ExpectDoubt(await AnalyseAsync(image), "clusters of the file table as free");
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory()
    {
        byte[] image = await FuzzCorpus.VolumeAsync("ntfs", () => MakeAsync());
        int mirror = MirrorOf(image);
        Extent[] metadata = [new(0, 96), new(Table, 4 * Record), new(mirror, 4 * Record), new(Table + (6 * Record), 512), new(Table + (8 * Record), 512), new(image.Length - 512, 96)];
        await AnalyserFuzz.RunAsync([new("ntfs", image, metadata, changed => Seal(changed, mirror))], 32 << 20, output);
    }

    [Fact]
    public async Task A_large_file_system_takes_little_more_memory_than_its_bitmap()
    {
        Tool.Require("mkntfs", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        await Tool.RunAsync("mkntfs", "-Q", "-q", "-F", "-s", "512", "-p", "0", "-H", "16", "-S", "63", folder["large.img"]);
        await LargeVolume.MapAsync(folder["large.img"], 48 << 20, output);
    }

    /// <summary>Makes the mirror and the backup what they should be.</summary>
    private static void Seal(byte[] image, int mirror)
    {
        image.AsSpan(Table, 4 * Record).CopyTo(image.AsSpan(mirror));
        image.AsSpan(0, 512).CopyTo(image.AsSpan(image.Length - 512));
    }

    private static int MirrorOf(byte[] image) => (int)ReadInt64LittleEndian(image.AsSpan(0x38)) * Cluster;

    private static int LogOf(byte[] image) => FirstClusterOf(image, 2) * Cluster;

    private static int BitmapOf(byte[] image) => FirstClusterOf(image, 6) * Cluster;

    /// <summary>The first cluster of a record's data, decoded here once more: the first run, whose distance is from cluster 0.</summary>
    private static int FirstClusterOf(byte[] image, int record)
    {
        byte[] data = [0x80, 0, 0, 0];
        int at = Table + (record * Record);
        at += 0x30 + image.AsSpan(at + 0x30, Record - 0x30).IndexOf(data);
        int runs = at + ReadUInt16LittleEndian(image.AsSpan(at + 0x20));
        int lengthBytes = image[runs] & 15;
        int offsetBytes = image[runs] >> 4;
        int cluster = 0;
        for (int index = offsetBytes - 1; index >= 0; index--)
        {
            cluster = (cluster << 8) | image[runs + 1 + lengthBytes + index];
        }

        return cluster;
    }

    private static async Task<byte[]> MakeAsync(params string[] arguments)
    {
        Tool.Require("mkntfs", "truncate");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "16M", folder["made.img"]);
        await Tool.RunAsync("mkntfs", ["-Q", "-q", "-F", "-s", "512", "-p", "0", "-H", "16", "-S", "63", .. arguments, folder["made.img"]]);
        return await File.ReadAllBytesAsync(folder["made.img"]);
    }

    /// <summary>Makes one and fills it through FUSE; null when mkntfs refuses the combination.</summary>
    private static async Task<string?> TryMakeAsync(Random random, string image, string mountPoint)
    {
        long length = (long)((8L << 20) * Math.Pow(60, random.NextDouble())) / 4096 * 4096;
        int sector = random.GetItems([512, 512, 1024, 4096], 1)[0];
        List<string> arguments = ["-s", $"{sector}", "-c", $"{sector << random.Next(0, 5)}", "-z", $"{random.Next(1, 5)}"];
        await Tool.RunAsync("truncate", "-s", length.ToString(CultureInfo.InvariantCulture), image);
        if ((await Tool.TryRunAsync("mkntfs", ["-Q", "-q", "-F", "-p", "0", "-H", "16", "-S", "63", .. arguments, image])).ExitCode != 0)
        {
            return null;
        }

        await using (LoopMount mount = await LoopMount.MountAsync(image, mountPoint, "ntfs-3g", sectorSize: sector))
        {
            FileWork.Do(mount.Folder, random, length);
        }

        string resized = await ResizeAsync(random, image, length, mountPoint);
        length = new FileInfo(image).Length;
        await using FileStream grown = File.OpenWrite(image);
        grown.SetLength(length + (random.Next(3) == 0 ? 4608 : 0));
        return $"mkntfs {string.Join(' ', arguments)} ({length} bytes{resized})";
    }

    /// <summary>Makes it shorter or longer now and then, where ntfsresize does; ntfsfix takes away the mark that it leaves for Windows to check.</summary>
    private static async Task<string> ResizeAsync(Random random, string image, long length, string mountPoint)
    {
        long wanted = random.Next(4) switch { 0 => length / 4096 * random.Next(5, 10) / 10 * 4096, 1 => length / 4096 * random.Next(11, 20) / 10 * 4096, _ => 0 };
        if (wanted == 0)
        {
            return "";
        }

        await Tool.RunAsync("truncate", "-s", string.Create(CultureInfo.InvariantCulture, $">{wanted}"), image);
        string before = mountPoint + ".before";
        await Tool.RunAsync("cp", "--sparse=always", image, before);
        if ((await Tool.TryRunAsync("ntfsresize", "--no-progress-bar", "-ff", "-s", $"{wanted}", image)).ExitCode != 0)
        {
            await Tool.RunAsync("cp", "--sparse=always", before, image);
            return "";
        }

        await Tool.RunAsync("ntfsfix", "-d", image);
        await WriteBackupAsync(image);
        return $", resized to {wanted}";
    }

    /// <summary>Puts the copy of the boot sector behind the resized file system, as Windows' check does; ntfsresize leaves it where it was.</summary>
    private static async Task WriteBackupAsync(string image)
    {
        await using FileStream file = new(image, FileMode.Open);
        byte[] boot = new byte[512];
        await file.ReadExactlyAsync(boot);
        file.Position = (long)ReadUInt64LittleEndian(boot.AsSpan(0x28)) * ReadUInt16LittleEndian(boot.AsSpan(0x0B));
        await file.WriteAsync(boot);
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

        if (MapComparison.Compare(ours.Used.InBlocksOf(512), await Partclone.AskAsync("partclone.ntfs", image, 512)) is { } difference)
        {
            differences.Add("partclone: " + difference);
        }

        long free = long.Parse(Free().Match((await Tool.TryRunAsync("ntfsinfo", "-m", "-f", image)).Output).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        long oursFree = (ours.Used.VolumeLength - ours.Used.TotalLength) / ours.FileSystem.BlockSize;
        if (oursFree != free)
        {
            differences.Add($"ntfsinfo counts {free} free clusters, we count {oursFree}");
        }

        await trial.AddDifferencesAsync(image, ours.Used, random, differences);
        return differences;
    }

    [GeneratedRegex(@"Free Clusters:\s+(\d+)")]
    private static partial Regex Free();
}
