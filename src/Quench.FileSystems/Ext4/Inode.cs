using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4;

// An inode: 128 bytes and, in larger inodes, i_extra_isize bytes more; little-endian.
// (Linux Documentation/filesystems/ext4, "Index Nodes")
//
//     0x00  mode (2) … size_lo (4, at 0x04) … links_count (2, at 0x1A) … flags (4, at 0x20)
//     0x28  block: 60 bytes, an extent tree's root or 15 block numbers
//     0x64  generation (4) … size_high (4, at 0x6C) … checksum_lo (2, at 0x7C)
//     0x80  extra_isize (2) ┬ checksum_hi (2)
//     0x80 + extra_isize  extended attributes, where they have room
internal readonly ref struct Inode(ReadOnlySpan<byte> bytes)
{
    public const int BlockFieldSize = 60;

    private const int SmallSize = 128;
    private const int ChecksumLowOffset = 0x7C;
    private const int ChecksumHighOffset = 0x82;
    private const ushort TypeMask = 0xF000;
    private const ushort RegularFile = 0x8000;
    private const ushort Folder = 0x4000;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public bool IsRegularFile => (ReadUInt16LittleEndian(_bytes) & TypeMask) == RegularFile;

    public bool IsFolder => (ReadUInt16LittleEndian(_bytes) & TypeMask) == Folder;

    /// <summary>How many names it has; 0 when it is not in use, or is about to be deleted.</summary>
    public int Links => ReadUInt16LittleEndian(_bytes[0x1A..]);

    public InodeFlags Flags => (InodeFlags)ReadUInt32LittleEndian(_bytes[0x20..]);

    public bool HasExtents => (Flags & InodeFlags.Extents) != 0;

    public ulong Size => ReadUInt32LittleEndian(_bytes[4..]) | ((ulong)ReadUInt32LittleEndian(_bytes[0x6C..]) << 32);

    public ReadOnlySpan<byte> BlockField => _bytes.Slice(0x28, BlockFieldSize);

    /// <summary>Where the attributes inside the inode begin; the inode's end when there is no room for any.</summary>
    public int AttributesOffset => _bytes.Length > SmallSize ? Math.Min(_bytes.Length, SmallSize + ReadUInt16LittleEndian(_bytes[SmallSize..])) : _bytes.Length;

    private bool HasHighChecksum => _bytes.Length > SmallSize && ReadUInt16LittleEndian(_bytes[SmallSize..]) >= 4;

    /// <summary>What the checksums of this inode and its extent blocks start from.</summary>
    public uint ChecksumSeed(uint fileSystemSeed, uint number) =>
        Crc32c.Append(Checksums.Crc32cLittleEndian(fileSystemSeed, number), _bytes.Slice(0x64, 4));

    /// <summary>Whether the checksum is right: over the whole inode with the checksum itself as zeros.</summary>
    public bool HasChecksum(uint seed)
    {
        byte[] copy = _bytes.ToArray();
        copy.AsSpan(ChecksumLowOffset, 2).Clear();
        uint stated = ReadUInt16LittleEndian(_bytes[ChecksumLowOffset..]);
        if (HasHighChecksum)
        {
            copy.AsSpan(ChecksumHighOffset, 2).Clear();
            stated |= (uint)ReadUInt16LittleEndian(_bytes[ChecksumHighOffset..]) << 16;
        }

        uint computed = Crc32c.Append(seed, copy);
        return stated == (HasHighChecksum ? computed : computed & 0xFFFF);
    }
}

/// <summary>What is particular about an inode. (Index Nodes, i_flags)</summary>
[Flags]
internal enum InodeFlags : uint
{
    Encrypted = 0x800,
    Extents = 0x80000,
    Verity = 0x100000,
    AttributeValue = 0x200000,
    InlineData = 0x10000000,
}
