using System.Buffers.Binary;
using Quench.FileSystems;
using Xunit;
using static Quench.Tests.FileSystems.Judgement;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>What must not be believed: then everything is in use, and a sentence says why.</summary>
public sealed class ExtDoubtTests
{
    private const int Superblock = 1024;

    [Theory]
    [InlineData(0x60, 0x1u, "an incompatible feature not known here (bits 0x1)")]
    [InlineData(0x60, 0x1000u, "an incompatible feature not known here (bits 0x1000)")]
    [InlineData(0x60, 0x80000000u, "an incompatible feature not known here (bits 0x80000000)")]
    [InlineData(0x60, 0x8u, "external journal")]
    [InlineData(0x64, 0x80u, "a read-only compatible feature not known here (bits 0x80)")]
    [InlineData(0x64, 0x4000u, "a read-only compatible feature not known here (bits 0x4000)")]
    [InlineData(0x64, 0x20000u, "a read-only compatible feature not known here (bits 0x20000)")]
    [InlineData(0x5C, 0x40u, "changes its bitmaps' meaning (bits 0x40)")]
    public async Task A_feature_not_known_puts_everything_in_use(int field, uint bits, string sentence)
    {
        byte[] image = await MakeAsync("-t ext4 -b 1024");
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(Superblock + field), BinaryPrimitives.ReadUInt32LittleEndian(image.AsSpan(Superblock + field)) | bits);
        Seal(image);
        await ExpectDoubtAsync(image, sentence);
    }

    [Theory]
    [InlineData(0x3A, 2, "noted errors")]
    [InlineData(0x3A, 0, "not unmounted in order")]
    [InlineData(0x3A, 3, "noted errors")]
    [InlineData(0x04, 0x7FFF, "its volume holds only")]
    [InlineData(0x18, 9, "block size")]
    [InlineData(0x20, 9, "block groups of")]
    [InlineData(0x14, 0, "first data block")]
    [InlineData(0x58, 100, "inodes of 100 bytes")]
    [InlineData(0x175, 3, "checksums of type 3")]
    public async Task A_superblock_that_cannot_be_right_puts_everything_in_use(int field, ushort value, string sentence)
    {
        byte[] image = await MakeAsync("-t ext4 -b 1024");
        BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(Superblock + field), value);
        Seal(image);
        await ExpectDoubtAsync(image, sentence);
    }

    [Fact]
    public async Task Every_flipped_bit_of_a_sealed_superblock_is_noticed()
    {
        const int saysThatItIsSealed = (0x64 * 8) + 10; // metadata_csum itself: without it nothing vouches for the rest, and the rest is right
        byte[] image = await MakeAsync("-t ext4 -b 1024");
        for (int bit = 0; bit < Superblock * 8; bit++)
        {
            int at = Superblock + (bit / 8);
            image[at] ^= (byte)(1 << (bit % 8));
            VolumeAnalysis ours = await AnalyseAsync(image);
            bool isMagic = at - Superblock is 0x38 or 0x39;
            Assert.True(ours.Doubt is not null || (ours.FileSystem is null && isMagic) || bit == saysThatItIsSealed, $"bit {bit} went unnoticed");
            Assert.True(ours.Used.TotalLength == image.Length || bit == saysThatItIsSealed, $"bit {bit} left a map");
            image[at] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [InlineData("-t ext4 -b 1024")]
    [InlineData("-t ext4 -b 1024 -O ^64bit")]
    [InlineData("-t ext4 -b 1024 -O ^metadata_csum,uninit_bg")]
    public async Task Every_flipped_bit_of_a_sealed_descriptor_is_noticed(string makeArguments)
    {
        byte[] image = await MakeAsync(makeArguments);
        int size = makeArguments.Contains("^64bit", StringComparison.Ordinal) ? 32 : 64;
        for (int bit = 0; bit < size * 8; bit++)
        {
            image[2048 + (bit / 8)] ^= (byte)(1 << (bit % 8));
            await ExpectDoubtAsync(image, "block group 0 does not match its checksum");
            image[2048 + (bit / 8)] ^= (byte)(1 << (bit % 8));
        }
    }

    [Theory]
    [InlineData("-t ext4 -b 1024", "does not match its checksum")]
    [InlineData("-t ext2 -b 1024", "")]
    public async Task Every_flipped_bit_of_a_bitmap_is_noticed(string makeArguments, string sentence)
    {
        byte[] image = await MakeAsync(makeArguments);
        int bitmap = BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(2048)) * 1024;
        for (int bit = 0; bit < 4096 - 1; bit++)
        {
            image[bitmap + (bit / 8)] ^= (byte)(1 << (bit % 8));
            await ExpectDoubtAsync(image, sentence);
            image[bitmap + (bit / 8)] ^= (byte)(1 << (bit % 8));
        }
    }

    [Fact]
    public async Task A_bitmap_that_frees_the_file_systems_own_blocks_is_noticed_although_the_counts_agree()
    {
        byte[] image = await MakeAsync("-t ext2 -b 1024");
        int bitmap = BinaryPrimitives.ReadInt32LittleEndian(image.AsSpan(2048)) * 1024;
        image[bitmap] ^= 1;
        image[bitmap + 400] ^= 1;
        await ExpectDoubtAsync(image, "counts blocks as free that hold its own metadata");
    }

    [Theory]
    [InlineData(0, "outside the file system")]
    [InlineData(4096, "outside the file system")]
    [InlineData(1, "over other metadata")]
    public async Task A_bitmap_in_an_impossible_place_puts_everything_in_use(int place, string sentence)
    {
        byte[] image = await MakeAsync("-t ext2 -b 1024");
        BinaryPrimitives.WriteInt32LittleEndian(image.AsSpan(2048), place);
        await ExpectDoubtAsync(image, sentence);
    }

    [Theory]
    [InlineData(0, "LUKS\xba\xbe", "a LUKS container")]
    [InlineData(0, "XFSB", "an XFS file system")]
    [InlineData(512, "LABELONE", "an LVM physical volume")]
    [InlineData(65600, "_BHRfS_M", "a btrfs file system")]
    public async Task Another_tenants_mark_puts_everything_in_use(int offset, string mark, string tenant)
    {
        byte[] image = await MakeAsync("-t ext4 -b 1024");
        System.Text.Encoding.Latin1.GetBytes(mark, image.AsSpan(offset));
        await ExpectDoubtAsync(image, tenant);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2047)]
    [InlineData(100_000)]
    public async Task A_volume_with_nothing_known_on_it_is_in_use_without_a_doubt(int length)
    {
        VolumeAnalysis ours = await AnalyseAsync(new byte[length]);
        Assert.Null(ours.FileSystem);
        Assert.Null(ours.Doubt);
        Assert.Equal(length, ours.Used.TotalLength);
    }

    [Theory]
    [InlineData("-t ext2", "ext2")]
    [InlineData("-t ext3", "ext3")]
    [InlineData("-t ext4", "ext4")]
    public async Task The_facts_are_those_that_were_given(string makeArguments, string type)
    {
        byte[] image = await MakeAsync(makeArguments + " -b 1024 -L Grüße -U 01234567-89ab-cdef-0123-456789abcdef");
        VolumeAnalysis ours = await AnalyseAsync(image);
        Assert.Equal(
            new FileSystemFacts(type, "Grüße", "01234567-89ab-cdef-0123-456789abcdef", 1024, image.Length, FileSystemState.Clean), ours.FileSystem);
    }

    [Fact]
    public async Task A_file_system_with_its_journal_elsewhere_is_mapped_when_clean_and_not_when_it_needs_recovery()
    {
        byte[] image = await MakeAsync("-t ext4 -b 1024 -O ^has_journal");
        image[Superblock + 0x5C] |= 4; // has_journal, with no journal inode
        Seal(image);
        Assert.Null((await AnalyseAsync(image)).Doubt);
        image[Superblock + 0x60] |= 4; // needs_recovery
        Seal(image);
        await ExpectDoubtAsync(image, "its journal is on another device");
    }

    public static async Task<byte[]> MakeAsync(string arguments, bool needsRecovery = false)
    {
        Tool.Require("mke2fs", "debugfs");
        using TempFolder folder = new();
        await Tool.RunAsync("mke2fs", ["-q", "-F", .. arguments.Split(' '), folder["made.img"], "4M"]);
        if (needsRecovery)
        {
            byte[] made = await File.ReadAllBytesAsync(folder["made.img"]);
            await File.WriteAllBytesAsync(folder["super.bin"], made.AsMemory(1024, 2048));
            await File.WriteAllLinesAsync(folder["script"], ["jo", $"jw -b 1,2 {folder["super.bin"]}", "jw -r 100-300", $"jw -b 1,2 {folder["super.bin"]}", "jc"]);
            await Tool.RunAsync("debugfs", "-w", "-f", folder["script"], folder["made.img"]);
        }

        return await File.ReadAllBytesAsync(folder["made.img"]);
    }

    /// <summary>Makes the superblock's checksum right.</summary>
    private static void Seal(byte[] image) =>
        BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(Superblock + 0x3FC), Crc32c.Append(uint.MaxValue, image.AsSpan(Superblock, 0x3FC)));
}
