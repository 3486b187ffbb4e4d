using Quench.Blocks;
using Quench.FileSystems;
using Quench.FileSystems.Ext4;
using Xunit;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>Changed ext file systems, with and without a journal to be replayed.</summary>
public sealed class ExtFuzzTests(ITestOutputHelper output)
{
    private const int Superblock = 1024;
    private const int JournalInode = 8;
    private const uint JournalMagic = 0xC03B3998;

    [Fact]
    public async Task No_bytes_make_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync(
            [
                await SubjectAsync("ext2", "-t ext2 -b 1024"),
                await SubjectAsync("ext4-sums", "-t ext4 -b 1024 -g 1024"),
                await SubjectAsync("ext4-uninit", "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg -g 1024"),
                await SubjectAsync("ext4-bigalloc", "-t ext4 -b 1024 -O bigalloc,^resize_inode -C 4096"),
                await SubjectAsync("ext4-meta-groups", "-t ext4 -b 2048 -O meta_bg,^resize_inode -g 512"),
            ],
            32 << 20,
            output);

    [Fact]
    public async Task No_journal_makes_it_fail_hang_or_take_much_memory() =>
        await AnalyserFuzz.RunAsync(
            [
                await SubjectAsync("ext3-journal", "-t ext3 -b 1024 -J size=1", needsRecovery: true),
                await SubjectAsync("ext4-journal", "-t ext4 -b 1024 -J size=1 -O ^metadata_csum", needsRecovery: true),
            ],
            32 << 20,
            output);

    private static async Task<AnalyserFuzz.Subject> SubjectAsync(string name, string arguments, bool needsRecovery = false)
    {
        byte[] image = await FuzzCorpus.VolumeAsync(name, () => ExtDoubtTests.MakeAsync(arguments, needsRecovery));
        int blockSize = BlockSizeOf(image);
        int table = TableOf(image);
        List<Extent> metadata = [new(Superblock, 1024), new(table, blockSize)];
        GroupDescriptor first = new(image.AsSpan(table, DescriptorSizeOf(image)));
        metadata.Add(new Extent((long)first.BlockBitmap * blockSize, Math.Min(blockSize, 256)));
        metadata.Add(new Extent(((long)first.InodeTable * blockSize) + ((JournalInode - 1) * ReadUInt16LittleEndian(image.AsSpan(Superblock + 0x58))), 128));
        for (int at = 0; at < image.Length && needsRecovery; at += blockSize)
        {
            if (ReadUInt32BigEndian(image.AsSpan(at)) == JournalMagic)
            {
                metadata.Add(new Extent(at, 96));
            }
        }

        return new AnalyserFuzz.Subject(name, image, metadata, Seal);
    }

    /// <summary>Makes the checksums of the superblock, of the groups that lie behind it and of the first one's bitmap right, as far as the superblock can be followed.</summary>
    private static void Seal(byte[] image)
    {
        (image[Superblock + 0x38], image[Superblock + 0x39]) = (0x53, 0xEF);
        WriteUInt32LittleEndian(image.AsSpan(Superblock + 0x3FC), Crc32c.Append(uint.MaxValue, image.AsSpan(Superblock, 0x3FC)));
        int blockSize = BlockSizeOf(image);
        int size = DescriptorSizeOf(image);
        if (blockSize is not (1024 or 2048) || size is not (32 or 64))
        {
            return;
        }

        bool hasSums = (ReadUInt32LittleEndian(image.AsSpan(Superblock + 0x64)) & 0x400) != 0;
        uint seed = Crc32c.Append(uint.MaxValue, image.AsSpan(Superblock + 0x68, 16));
        ushort oldSeed = Checksums.Crc16(ushort.MaxValue, image.AsSpan(Superblock + 0x68, 16));
        for (int group = 0; group < blockSize / size; group++)
        {
            Span<byte> bytes = image.AsSpan(TableOf(image) + (group * size), size);
            GroupDescriptor descriptor = new(bytes);
            WriteUInt16LittleEndian(bytes[0x1E..], hasSums ? descriptor.ComputeCrc32c(seed, (uint)group) : descriptor.ComputeCrc16(oldSeed, (uint)group));
        }
    }

    private static int BlockSizeOf(byte[] image) => image[Superblock + 0x18] <= 1 ? 1024 << image[Superblock + 0x18] : 0;

    private static int TableOf(byte[] image) => image[Superblock + 0x18] == 0 ? 2048 : 1024 << image[Superblock + 0x18];

    private static int DescriptorSizeOf(byte[] image) =>
        (ReadUInt32LittleEndian(image.AsSpan(Superblock + 0x60)) & 0x80) != 0 ? ReadUInt16LittleEndian(image.AsSpan(Superblock + 0xFE)) : 32;
}
