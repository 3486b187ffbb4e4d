using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4;

// A node of an extent tree: a header and entries of 12 bytes each; little-endian. The root lies in the inode, others fill a block
// and end with a checksum. (Linux Documentation/filesystems/ext4, "Extent Tree")
//
//     header   ├ magic (2) ┼ entries (2) ┼ max (2) ┼ depth (2) ┼ generation (4) ┤
//     leaf     ├ first logical block (4) ┼ length (2) ┼ start_hi (2) ┼ start_lo (4) ┤
//     index    ├ first logical block (4) ┼ child_lo (4) ┼ child_hi (2) ┼ unused (2) ┤
internal readonly ref struct ExtentNode(ReadOnlySpan<byte> bytes)
{
    public const int EntrySize = 12;
    public const int DepthLimit = 5;

    private const ushort ExpectedMagic = 0xF30A;
    private const int LongestWritten = 32768;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Entries => ReadUInt16LittleEndian(_bytes[2..]);

    public int Depth => ReadUInt16LittleEndian(_bytes[6..]);

    private int Capacity => ReadUInt16LittleEndian(_bytes[4..]);

    private int ChecksumOffset => EntrySize * (Capacity + 1);

    /// <summary>Whether the header is one and its numbers stay inside the node.</summary>
    public bool IsWellFormed => ReadUInt16LittleEndian(_bytes) == ExpectedMagic && Entries <= Capacity && ChecksumOffset <= _bytes.Length && Depth <= DepthLimit;

    /// <summary>Whether a node that fills a block ends with the right checksum.</summary>
    public bool HasChecksum(uint seed) =>
        ChecksumOffset + 4 <= _bytes.Length && ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.Append(seed, _bytes[..ChecksumOffset]);

    public uint LogicalBlock(int entry) => ReadUInt32LittleEndian(Entry(entry));

    public ulong Child(int entry) => ReadUInt32LittleEndian(Entry(entry)[4..]) | ((ulong)ReadUInt16LittleEndian(Entry(entry)[8..]) << 32);

    public ulong Start(int entry) => ReadUInt32LittleEndian(Entry(entry)[8..]) | ((ulong)ReadUInt16LittleEndian(Entry(entry)[6..]) << 32);

    /// <summary>Blocks; 0 for an extent that is allocated and not written, which states more than 32768.</summary>
    public int Length(int entry)
    {
        int stated = ReadUInt16LittleEndian(Entry(entry)[4..]);
        return stated <= LongestWritten ? stated : 0;
    }

    /// <summary>Blocks, written or not.</summary>
    public int AllocatedLength(int entry)
    {
        int stated = ReadUInt16LittleEndian(Entry(entry)[4..]);
        return stated <= LongestWritten ? stated : stated - LongestWritten;
    }

    private ReadOnlySpan<byte> Entry(int index) => _bytes.Slice(EntrySize * (index + 1), EntrySize);
}
