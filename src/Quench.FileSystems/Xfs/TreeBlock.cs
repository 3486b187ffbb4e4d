using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

// A block of the B+tree of free space by block number; big-endian, but for its checksum.
// (XFS Algorithms & Data Structures, "AG Free Space B+trees" and "Short Format B+trees")
//
//     0x00  magic ────────┬ level ┬ numrecs ┬ leftsib ────┬ rightsib
//     0x10  blkno (8) ────┼ lsn (8) ────────┼ uuid (16) … ┼ owner ┬ crc (at 0x34)     version 5 only
//     leaf  (startblock, blockcount) …
//     node  (startblock, blockcount) … up to the most there can be, then as many block numbers: a key is the first record below its child
internal readonly ref struct TreeBlock(ReadOnlySpan<byte> bytes, bool hasChecksums)
{
    public const uint NoSibling = uint.MaxValue;
    private const uint MagicV4 = 0x41425442; // "ABTB"
    private const uint MagicV5 = 0x41423342; // "AB3B"
    private const int RecordSize = 8;
    private const int ChecksumOffset = 0x34;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Level => ReadUInt16BigEndian(_bytes[4..]);

    public int Count => ReadUInt16BigEndian(_bytes[6..]);

    public uint Left => ReadUInt32BigEndian(_bytes[8..]);

    public uint Right => ReadUInt32BigEndian(_bytes[12..]);

    private int HeaderSize => hasChecksums ? 56 : 16;

    private int MostChildren => (_bytes.Length - HeaderSize) / (RecordSize + sizeof(uint));

    private int Most => Level == 0 ? (_bytes.Length - HeaderSize) / RecordSize : MostChildren;

    /// <summary>A record of a leaf, or a key of a node.</summary>
    public (uint Start, uint Length) this[int index]
    {
        get
        {
            ReadOnlySpan<byte> record = _bytes[(HeaderSize + (index * RecordSize))..];
            return (ReadUInt32BigEndian(record), ReadUInt32BigEndian(record[4..]));
        }
    }

    public uint Child(int index) => ReadUInt32BigEndian(_bytes[(HeaderSize + (MostChildren * RecordSize) + (index * sizeof(uint)))..]);

    /// <exception cref="InDoubtException">It is not the block that was meant, or its checksum is wrong.</exception>
    public void Check(Layout layout, int group, uint block, int level)
    {
        uint magic = ReadUInt32BigEndian(_bytes);
        bool mine = magic == (hasChecksums ? MagicV5 : MagicV4) && Level == level && Count <= Most;
        Unless(mine, $"block {block} of XFS allocation group {group} is not the block of the free space tree that it should be");
        if (hasChecksums)
        {
            long sectors = (layout.FirstBlockOf(group) + block) * (layout.BlockSize / 512);
            bool right = ReadInt64BigEndian(_bytes[0x10..]) == sectors && ReadUInt32BigEndian(_bytes[0x30..]) == group
                && _bytes.Slice(0x20, 16).SequenceEqual(layout.MetaUuid)
                && ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.OfStructure(_bytes, ChecksumOffset);
            Unless(right, $"block {block} of XFS allocation group {group}, of its free space tree, does not match its checksum");
        }
    }
}
