using Quench.Blocks;
using Quench.FileSystems;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.PartitionTables;

/// <summary>Tables that can't be believed put everything in use, and say why; and nothing that a table says harms the reader.</summary>
public sealed class TableDoubtTests(ITestOutputHelper output)
{
    private const int MiB = 1 << 20;
    private const int Sector = 512;

    [Fact]
    public async Task A_disk_is_as_sound_as_its_table_says()
    {
        VolumeAnalysis gpt = await AnalyseAsync(TestDisk.Gpt());
        Assert.Null(gpt.Doubt);
        Assert.Equal(("gpt", 2), (gpt.FileSystem!.Type, gpt.Disk!.Partitions.Count));
        Assert.Empty(gpt.Disk.Table.Remarks);
        VolumeAnalysis mbr = await AnalyseAsync(TestDisk.Mbr());
        Assert.Null(mbr.Doubt);
        Assert.Equal([1, 5, 6], mbr.Disk!.Partitions.Select(content => content.Partition.Number));
        Assert.Equal([false, true, true], mbr.Disk.Partitions.Select(content => content.Partition.IsLogical));
    }

    [Theory]
    [InlineData(512, 0, "only its backup is whole")]
    [InlineData(1024 + 40, 0, "only its backup is whole")]
    [InlineData(446 + 4, 0, "no protective boot record")]
    [InlineData(446 + 4, 0x83, "does not guard it")]
    public async Task A_damaged_table_puts_everything_in_use(int at, byte value, string sentence)
    {
        byte[] disk = TestDisk.Gpt();
        disk[at] = value;
        await ExpectDoubtAsync(disk, sentence);
    }

    [Fact]
    public async Task A_table_without_its_backup_is_believed_and_said()
    {
        byte[] disk = TestDisk.Gpt();
        disk[^512] ^= 1;
        VolumeAnalysis found = await AnalyseAsync(disk);
        Assert.Null(found.Doubt);
        Assert.Contains("missing or damaged", Assert.Single(found.Disk!.Table.Remarks), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_on_a_disk_that_has_grown_is_believed_and_said()
    {
        byte[] disk = [.. TestDisk.Gpt(), .. new byte[2 * MiB]];
        VolumeAnalysis found = await AnalyseAsync(disk);
        Assert.Null(found.Doubt);
        Assert.Contains("not at the end", Assert.Single(found.Disk!.Table.Remarks), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_left_at_the_end_of_an_older_table_does_not_count()
    {
        byte[] disk = TestDisk.Mbr();
        byte[] older = TestDisk.Gpt();
        older.AsSpan(older.Length - (33 * Sector)).CopyTo(disk.AsSpan(disk.Length - (33 * Sector)));
        VolumeAnalysis found = await AnalyseAsync(disk);
        Assert.Equal((null, "mbr"), (found.Doubt, found.FileSystem!.Type));
        disk.AsSpan(0, 8192).Clear();
        Assert.Null((await AnalyseAsync(disk)).Disk);
    }

    [Fact]
    public async Task Neither_copy_whole_behind_a_protective_boot_record_puts_everything_in_use()
    {
        byte[] disk = TestDisk.Gpt();
        disk[Sector + 60] ^= 1;
        disk[^(Sector - 60)] ^= 1;
        await ExpectDoubtAsync(disk, "neither copy is whole");
    }

    [Fact]
    public async Task Copies_that_differ_put_everything_in_use()
    {
        byte[] disk = TestDisk.Gpt();
        disk[(2 * Sector) + 60] ^= 1;
        TestDisk.SealGpt(disk);
        await ExpectDoubtAsync(disk, "the table and its backup differ");
    }

    [Fact]
    public async Task Entries_of_a_hybrid_boot_record_must_be_partitions_of_the_table()
    {
        byte[] disk = TestDisk.Gpt();
        TestDisk.WriteEntry(disk.AsSpan(446 + 16), 0x0C, 2048, 2048);
        Assert.Null((await AnalyseAsync(disk)).Doubt);
        TestDisk.WriteEntry(disk.AsSpan(446 + 16), 0x0C, 2048, 2047);
        await ExpectDoubtAsync(disk, "entry 2 of the boot record");
    }

    [Theory]
    [InlineData(0, 8, 2048u + 1, "overlap")]
    [InlineData(0, 12, 65536u, "beyond the end")]
    [InlineData(2, 4, 0x05u, "two extended")]
    public async Task A_boot_record_that_contradicts_itself_puts_everything_in_use(int entry, int field, uint value, string sentence)
    {
        byte[] disk = TestDisk.Mbr();
        if (entry == 0 && field == 8)
        {
            TestDisk.WriteEntry(disk.AsSpan(446 + 32), 0x83, value, 100);
        }
        else if (entry == 2)
        {
            TestDisk.WriteEntry(disk.AsSpan(446 + 32), (byte)value, 7 * 2048, 100);
        }
        else
        {
            WriteUInt32LittleEndian(disk.AsSpan(446 + field), value);
        }

        await ExpectDoubtAsync(disk, sentence);
    }

    [Theory]
    [InlineData(16 + 8, 0u, "leaves the extended")]
    [InlineData(16 + 8, 2 * 2048u, "back to itself")]
    [InlineData(16 + 8, 7 * 2048u, "leaves the extended")]
    [InlineData(16 + 8, 1000u, "which is no boot record")]
    [InlineData(12, 6 * 2048u, "leaves the extended")]
    [InlineData(8, 2 * 2048u, "over an extended boot record")]
    public async Task A_chain_that_goes_astray_puts_everything_in_use(int field, uint value, string sentence)
    {
        byte[] disk = TestDisk.Mbr();
        bool isSecond = sentence == "back to itself"; // the second record links to itself
        int record = isSecond ? 4 * MiB : 2 * MiB;
        if (isSecond)
        {
            TestDisk.WriteEntry(disk.AsSpan(record + 446 + 16), 0x05, value, 100);
        }
        else
        {
            WriteUInt32LittleEndian(disk.AsSpan(record + 446 + field), value);
        }

        await ExpectDoubtAsync(disk, sentence);
    }

    [Fact]
    public async Task A_file_system_beside_a_table_puts_everything_in_use()
    {
        byte[] disk = TestDisk.Mbr();
        "SWAPSPACE2"u8.CopyTo(disk.AsSpan(4096 - 10));
        disk[1024] = 1;
        await ExpectDoubtAsync(disk, "mark of a partition table");
    }

    [Fact]
    public async Task The_boot_sector_of_a_file_system_is_no_table()
    {
        Tool.Require("mkfs.fat");
        using TempFolder folder = new();
        await File.WriteAllBytesAsync(folder["fat"], new byte[4 * MiB], TestContext.Current.CancellationToken);
        await Tool.RunAsync("mkfs.fat", folder["fat"]);
        VolumeAnalysis plain = await AnalyseAsync(await File.ReadAllBytesAsync(folder["fat"], TestContext.Current.CancellationToken));
        Assert.Equal((null, null), (plain.Doubt, plain.Disk));
        await Tool.RunAsync("mkfs.fat", "--mbr=y", folder["fat"]); // a partition that begins with the boot sector itself
        VolumeAnalysis marked = await AnalyseAsync(await File.ReadAllBytesAsync(folder["fat"], TestContext.Current.CancellationToken));
        Assert.Equal((null, null), (marked.Doubt, marked.Disk));
    }

    [Fact]
    public async Task Whatever_the_bytes_of_a_gpt_it_answers_soon_and_with_little_memory()
    {
        byte[] gpt = TestDisk.Gpt();
        Extent[] metadata = [new(440, 72), new(Sector, 96), new(2 * Sector, 512), new(gpt.Length - Sector, 96), new(gpt.Length - (33 * Sector), 512)];
        await AnalyserFuzz.RunAsync([new AnalyserFuzz.Subject("gpt", gpt, metadata, TestDisk.SealGpt)], 24 << 20, output);
    }

    [Fact]
    public async Task Whatever_the_bytes_of_a_boot_record_it_answers_soon_and_with_little_memory() =>
        await AnalyserFuzz.RunAsync(
            [new AnalyserFuzz.Subject("mbr", TestDisk.Mbr(), [new Extent(440, 72), new Extent((2 * MiB) + 440, 72), new Extent((4 * MiB) + 440, 72)], _ => { })], 24 << 20, output);
}
