using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

// The free space header of an allocation group ("AGF"): its second sector; big-endian, but for its checksum.
// (XFS Algorithms & Data Structures, "AG Free Space Management")
//
//     0x00  magic "XAGF" ─┬ version 1 ────┬ seqno ────────┬ length
//     0x10  bno_root ─────┬ cnt_root ─────┬ rmap_root ────┬ bno_level
//     0x20  cnt_level ────┬ rmap_level ───┬ flfirst ──────┬ fllast
//     0x30  flcount ──────┬ freeblks ─────┬ longest ──────┬ btreeblks
//     0x40  uuid (16)                                        from here on in version 5 only
//     0x50  rmap_blocks ──┬ refcount_blks ┬ refcount_root ┬ refcount_level
//     0xD0  lsn (8) ──────┼ crc (at 0xD8)
internal readonly ref struct GroupHeader(ReadOnlySpan<byte> bytes)
{
    private const uint ExpectedMagic = 0x58414746;
    private const int ChecksumOffset = 0xD8;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public uint BlockRoot => ReadUInt32BigEndian(_bytes[0x10..]);

    public uint CountRoot => ReadUInt32BigEndian(_bytes[0x14..]);

    public uint ReverseMapRoot => ReadUInt32BigEndian(_bytes[0x18..]);

    public uint BlockLevels => ReadUInt32BigEndian(_bytes[0x1C..]);

    public uint FreeListFirst => ReadUInt32BigEndian(_bytes[0x28..]);

    public uint FreeListLast => ReadUInt32BigEndian(_bytes[0x2C..]);

    public uint FreeListCount => ReadUInt32BigEndian(_bytes[0x30..]);

    public uint FreeBlocks => ReadUInt32BigEndian(_bytes[0x34..]);

    public uint Longest => ReadUInt32BigEndian(_bytes[0x38..]);

    /// <summary>Blocks of the free space trees beside their roots: they count as free in the superblock.</summary>
    public uint TreeBlocks => ReadUInt32BigEndian(_bytes[0x3C..]);

    public uint RefcountRoot => ReadUInt32BigEndian(_bytes[0x58..]);

    /// <exception cref="InDoubtException">It is not this group's, or its checksum is wrong.</exception>
    public void Check(Layout layout, int group)
    {
        bool mine = ReadUInt32BigEndian(_bytes) == ExpectedMagic && ReadUInt32BigEndian(_bytes[4..]) == 1
            && ReadUInt32BigEndian(_bytes[8..]) == group && ReadUInt32BigEndian(_bytes[12..]) == layout.BlocksIn(group);
        Unless(mine, $"the free space header of XFS allocation group {group} is not there or states another place or length");
        Unless(
            !layout.HasChecksums || (_bytes.Slice(0x40, 16).SequenceEqual(layout.MetaUuid) && ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.OfStructure(_bytes, ChecksumOffset)),
            $"the free space header of XFS allocation group {group} does not match its checksum");
    }
}
