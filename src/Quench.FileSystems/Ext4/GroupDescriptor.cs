using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4;

// One block group's entry in the descriptor table: 32 bytes, or s_desc_size (≥ 64) with 64-bit block numbers; little-endian.
// (Linux Documentation/filesystems/ext4, "Block Group Descriptors")
//
//     0x00  block_bitmap_lo ┬ inode_bitmap_lo ┬ inode_table_lo ┬ free_blocks_lo (2) ┬ free_inodes_lo (2)
//     0x10  used_dirs_lo (2) ┬ flags (2) ┬ exclude_bitmap_lo ──┬ block_bitmap_csum_lo (2) ┬ inode_bitmap_csum_lo (2)
//     0x1C  itable_unused_lo (2) ┬ checksum (2)
//     0x20  block_bitmap_hi ┬ inode_bitmap_hi ┬ inode_table_hi ┬ free_blocks_hi (2) ┬ free_inodes_hi (2)
//     0x30  used_dirs_hi (2) ┬ itable_unused_hi (2) ┬ exclude_bitmap_hi ┬ block_bitmap_csum_hi (2) ┬ …
internal readonly ref struct GroupDescriptor(ReadOnlySpan<byte> bytes)
{
    public const int SmallSize = 32;
    public const int LargeSize = 64;
    public const ushort BlockBitmapUninitialised = 0x2;

    private const int ChecksumOffset = 0x1E;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public ulong BlockBitmap => Low32(0) | High32(0x20);

    public ulong InodeBitmap => Low32(4) | High32(0x24);

    public ulong InodeTable => Low32(8) | High32(0x28);

    /// <summary>Free clusters (blocks where there is no bigalloc).</summary>
    public uint FreeClusters => Low16(0xC) | High16(0x2C);

    public ushort Flags => Low16(0x12);

    /// <summary>16 bits of it in small descriptors.</summary>
    public uint BlockBitmapChecksum => Low16(0x18) | High16(0x38);

    public ushort Checksum => Low16(ChecksumOffset);

    /// <summary>What the checksum should be under metadata_csum.</summary>
    public ushort ComputeCrc32c(uint seed, uint group)
    {
        uint crc = Checksums.Crc32cLittleEndian(seed, group);
        crc = Crc32c.Append(crc, _bytes[..ChecksumOffset]);
        crc = Crc32c.Append(crc, [0, 0]);
        return (ushort)(Crc32c.Append(crc, _bytes[(ChecksumOffset + 2)..]) & 0xFFFF);
    }

    /// <summary>What the checksum should be under gdt_csum.</summary>
    public ushort ComputeCrc16(ushort seed, uint group)
    {
        ushort crc = Checksums.Crc16LittleEndian(seed, group);
        crc = Checksums.Crc16(crc, _bytes[..ChecksumOffset]);
        return Checksums.Crc16(crc, _bytes[(ChecksumOffset + 2)..]);
    }

    private ushort Low16(int offset) => ReadUInt16LittleEndian(_bytes[offset..]);

    private uint Low32(int offset) => ReadUInt32LittleEndian(_bytes[offset..]);

    private uint High16(int offset) => _bytes.Length >= LargeSize ? (uint)ReadUInt16LittleEndian(_bytes[offset..]) << 16 : 0;

    private ulong High32(int offset) => _bytes.Length >= LargeSize ? (ulong)ReadUInt32LittleEndian(_bytes[offset..]) << 32 : 0;
}
