using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>What must not be believed: then everything is in use, and a sentence says why.</summary>
public sealed class XfsDoubtTests(ITestOutputHelper output)
{
    private const int Sector = 512;
    private const int Block = 4096;
    private const int SuperblockChecksum = 0xE0;

    [Theory]
    [InlineData(0xD4, 0x10u, "read-only compatible feature not known here (bits 0x10)")]
    [InlineData(0xD8, 0x100u, "incompatible feature not known here (bits 0x100)")]
    [InlineData(0xD8, 0x80000000u, "incompatible feature not known here (bits 0x80000000)")]
    [InlineData(0xD8, 0x10u, "needs a repair")]
    [InlineData(0x14, 0x7u, "realtime section")]
    [InlineData(0x04, 0x1u, "block size of 4097")]
    [InlineData(0x08, 0x1u, "its volume holds only")]
    [InlineData(0x54, 0x1000u, "allocation groups of")]
    [InlineData(0x64, 0x02000000u, "version bits 0x200")]
    [InlineData(0x64, 0x00020000u, "is of version")]
    [InlineData(0x60, 0x00800000u, "log lies outside")]
    public async Task A_superblock_of_another_kind_puts_everything_in_use(int field, uint bits, string sentence)
    {
        byte[] image = await MakeAsync();
        WriteUInt32BigEndian(image.AsSpan(field), ReadUInt32BigEndian(image.AsSpan(field)) ^ bits);
        Seal(image, 0, SuperblockChecksum, Sector);
        await ExpectDoubtAsync(image, sentence);
    }

    [Fact]
    public async Task A_log_on_another_device_and_a_realtime_section_are_said()
    {
        Tool.Require("mkfs.xfs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "320M", folder["data.img"], folder["other.img"]);
        await Tool.RunAsync("mkfs.xfs", "-q", "-f", "-l", $"logdev={folder["other.img"]},size=64m", folder["data.img"]);
        await ExpectDoubtOfFileAsync(folder["data.img"], "log is on another device");
        await Tool.RunAsync("mkfs.xfs", "-q", "-f", "-r", $"rtdev={folder["other.img"]}", folder["data.img"]);
        await ExpectDoubtOfFileAsync(folder["data.img"], "realtime section");
    }

    [Theory]
    [InlineData(0, 248, "superblock")]
    [InlineData(Sector, Sector, "free space header of XFS allocation group 0")]
    [InlineData(3 * Sector, Sector, "free list of XFS allocation group 0")]
    [InlineData(Block, 128, "free space tree")]
    public async Task Every_flipped_bit_of_a_sealed_structure_is_noticed(int start, int length, string what)
    {
        byte[] image = await MakeAsync();
        for (int bit = 0; bit < length * 8; bit += Knob.Number("QUENCH_STRIDE", 29))
        {
            int at = start + (bit / 8);
            image[at] ^= (byte)(1 << (bit % 8));
            VolumeAnalysis ours = await AnalyseAsync(image);
            Assert.True(ours.Doubt is not null || (start == 0 && at < 4 && ours.FileSystem is null), $"bit {bit} of the {what} went unnoticed");
            Assert.Equal(image.Length, ours.Used.TotalLength);
            image[at] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [InlineData(0x1C, 9u, "free space tree")]
    [InlineData(0x34, 5u, "states 5 free blocks")]
    [InlineData(0x38, 5u, "the longest run 5")]
    [InlineData(0x30, 500u, "impossible bounds")]
    [InlineData(0x0C, 5u, "another place or length")]
    [InlineData(0x14, 3000u, "counts block 3000 as free")]
    [InlineData(0x3C, 77u, "free blocks; its groups have")]
    public async Task A_header_that_contradicts_its_group_puts_everything_in_use(int field, uint value, string sentence)
    {
        byte[] image = await MakeAsync();
        WriteUInt32BigEndian(image.AsSpan(Sector + field), value);
        Seal(image, Sector, 0xD8, Sector);
        await ExpectDoubtAsync(image, sentence);
    }

    [Fact]
    public async Task Free_extents_over_metadata_or_over_one_another_put_everything_in_use()
    {
        byte[] image = await MakeAsync();
        int record = Block + 56;
        uint start = ReadUInt32BigEndian(image.AsSpan(record));
        uint length = ReadUInt32BigEndian(image.AsSpan(record + 4));
        WriteUInt32BigEndian(image.AsSpan(record), 1);
        Seal(image, Block, 0x34, Block);
        await ExpectDoubtAsync(image, "XFS allocation group 0");
        WriteUInt32BigEndian(image.AsSpan(record), start);
        WriteUInt16BigEndian(image.AsSpan(Block + 6), 2);
        WriteUInt32BigEndian(image.AsSpan(record + 8), start + length - 1);
        WriteUInt32BigEndian(image.AsSpan(record + 12), 1);
        Seal(image, Block, 0x34, Block);
        await ExpectDoubtAsync(image, "lie over one another");
    }

    [Fact]
    public async Task A_log_cut_off_or_torn_puts_everything_in_use()
    {
        byte[] image = await MakeAsync();
        (int start, int length) = LogOf(image);
        image.AsSpan(start, Sector).Clear();
        await ExpectDoubtAsync(image, "XFS log");
        byte[] torn = await MakeAsync();
        WriteUInt32BigEndian(torn.AsSpan(start + length - Sector), 9);
        await ExpectDoubtAsync(torn, "does not run in rounds");
        byte[] unwritten = await MakeAsync();
        unwritten.AsSpan(start, length).Clear();
        Assert.Null((await AnalyseAsync(unwritten)).Doubt);
    }

    [Theory]
    [InlineData(0x140, 0xFFFF_FFFFu)]
    [InlineData(0x140, 0xFFFF_8001u)]
    [InlineData(0x0C, 0xFFFF_FFFFu)]
    public async Task A_record_of_an_impossible_size_puts_everything_in_use(int field, uint value)
    {
        byte[] image = await MakeAsync();
        (int start, int length) = LogOf(image);
        foreach (int record in RecordsOf(image, start, length))
        {
            WriteUInt32BigEndian(image.AsSpan(record + field), value);
        }

        await ExpectDoubtAsync(image, "the XFS log ends with no record");
    }

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory()
    {
        byte[] image = await FuzzCorpus.VolumeAsync("xfs", () => MakeAsync());
        byte[] old = await FuzzCorpus.VolumeAsync("xfs-4", () => MakeAsync("-m", "crc=0"));
        await AnalyserFuzz.RunAsync([SubjectOf("xfs", image, SealAll), SubjectOf("xfs-4", old, _ => { })], 32 << 20, output);
    }

    [Fact]
    public async Task No_log_of_a_frozen_one_makes_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync([SubjectOf("xfs-frozen", await FuzzCorpus.VolumeAsync("xfs-frozen", MakeFrozenAsync), SealAll)], 32 << 20, output);

    /// <summary>The heads of the first group, a tree's block, and of the log each record: its header and the start of its data.</summary>
    private static AnalyserFuzz.Subject SubjectOf(string name, byte[] image, Action<byte[]> seal)
    {
        (int log, int length) = LogOf(image);
        List<Extent> metadata = [new(0, 264), new(Sector, 224), new(2 * Sector, 400), new(3 * Sector, 64), new(Block, 128), new(log, 1024)];
        metadata.AddRange(RecordsOf(image, log, length).Select(record => new Extent(record, 1024)));
        int[] records = [.. RecordsOf(image, log, length)];
        return new AnalyserFuzz.Subject(name, image, metadata, changed =>
        {
            seal(changed);
            foreach (int record in records)
            {
                changed.AsSpan(record + 0x20, 4).Clear(); // the checksum of a record that a tool wrote
            }
        });
    }

    private static IEnumerable<int> RecordsOf(byte[] image, int log, int length)
    {
        for (int at = log; at < log + length; at += Sector)
        {
            if (ReadUInt32BigEndian(image.AsSpan(at)) == 0xFEEDBABE)
            {
                yield return at;
            }
        }
    }

    /// <summary>What is on the disk while one is frozen: its log ends with changes of the superblock's counters.</summary>
    private static async Task<byte[]> MakeFrozenAsync()
    {
        Tool.RequireRoot();
        using TempFolder folder = new();
        await File.WriteAllBytesAsync(folder["live.img"], await MakeAsync());
        await using LoopMount mount = await LoopMount.MountAsync(folder["live.img"], folder["mnt"]);
        await File.WriteAllTextAsync(Path.Combine(mount.Folder, "a file"), "some text");
        await mount.WhileFrozenAsync(() => Tool.RunAsync("cp", "--sparse=always", folder["live.img"], folder["frozen.img"]));
        return await File.ReadAllBytesAsync(folder["frozen.img"]);
    }

    [Fact]
    public async Task A_file_system_of_a_tebibyte_takes_little_more_memory_than_its_bitmap()
    {
        Tool.Require("mkfs.xfs", "xfs_db");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "1T", folder["large.img"]);
        await Tool.RunAsync("mkfs.xfs", "-q", "-f", folder["large.img"]);
        VolumeAnalysis ours = await LargeVolume.MapAsync(folder["large.img"], 48 << 20, output); // the map of 2^28 blocks and the windows of the log
        Assert.Null(MapComparison.Compare(ours.Used, await XfsWitness.AskXfsDbAsync(folder["large.img"])));
    }

    private static void SealAll(byte[] image)
    {
        Seal(image, 0, SuperblockChecksum, Sector);
        Seal(image, Sector, 0xD8, Sector);
        Seal(image, 3 * Sector, 32, Sector);
        Seal(image, Block, 0x34, Block);
    }

    private static void Seal(byte[] image, int start, int checksum, int length) =>
        WriteUInt32LittleEndian(image.AsSpan(start + checksum), Crc32c.OfStructure(image.AsSpan(start, length), checksum));

    private static (int Start, int Length) LogOf(byte[] image)
    {
        ulong block = ReadUInt64BigEndian(image.AsSpan(0x30));
        int groupLog = image[0x7C];
        ulong absolute = ((block >> groupLog) * ReadUInt32BigEndian(image.AsSpan(0x54))) + (block & ((1UL << groupLog) - 1));
        return ((int)absolute * Block, (int)ReadUInt32BigEndian(image.AsSpan(0x60)) * Block);
    }

    private static async Task<byte[]> MakeAsync(params string[] arguments)
    {
        Tool.Require("mkfs.xfs");
        using TempFolder folder = new();
        await Tool.RunAsync("truncate", "-s", "24M", folder["made.img"]);
        await Tool.RunAsync("mkfs.xfs", ["--unsupported", "-q", "-f", "-d", "agcount=1", .. arguments, folder["made.img"]]);
        return await File.ReadAllBytesAsync(folder["made.img"]);
    }

    private static async Task ExpectDoubtOfFileAsync(string path, string sentence)
    {
        await using TestVolume volume = TestVolume.OverFile(path);
        ExpectDoubt(await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, TestContext.Current.CancellationToken), sentence);
    }
}
