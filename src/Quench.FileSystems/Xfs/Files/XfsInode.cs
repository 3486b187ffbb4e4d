using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

/// <summary>How the data of an inode are kept.</summary>
internal enum ForkFormat : byte
{
    Inline = 1,
    Extents = 2,
    Tree = 3,
}

// An inode; big-endian, but for its checksum. (XFS Algorithms & Data Structures, "On-disk Inode")
//
//     0x00  magic "IN" ┬ mode (2) ┬ version, format (1 each) ┬ links of version 1 (2) ┬ uid ┬ gid
//     0x10  nlink ─────┬ project (4) ─┬ extents, with large counts (8)
//     0x38  size (8) ──┼ nblocks (8) ─┼ extsize ─┬ extents (4) ┬ attribute extents (2) ┬ forkoff, attribute format (1 each)
//     0x54  …          ┬ flags (2, at 0x5A) ┬ generation ┬ next unlinked          version 2 ends here, at 0x64
//     0x64  crc (little-endian) ┬ changes (8) ┬ lsn (8) ┬ flags2 (8, at 0x78) ┬ cowextsize … ┬ own number (8, at 0x98) ┬ uuid (16)     version 3 ends here, at 0xB0
//     then the data fork; forkoff is where the attributes' begins behind it, in eights of bytes, 0 for none
internal readonly ref struct XfsInode(ReadOnlySpan<byte> bytes)
{
    private const ushort ExpectedMagic = 0x494E;
    private const int ChecksumOffset = 0x64;
    private const ulong Reflink = 2;
    private const ulong LargeCounts = 0x10;
    private const ulong KnownFlags2 = 0x1F; // DAX, reflink, a size for copies, times beyond 2038, large counts

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public bool IsFolder => (ReadUInt16BigEndian(_bytes[2..]) & 0xF000) == 0x4000;

    public bool IsRegularFile => (ReadUInt16BigEndian(_bytes[2..]) & 0xF000) == 0x8000;

    public ForkFormat Format => (ForkFormat)_bytes[5];

    public uint Links => ReadUInt32BigEndian(_bytes[0x10..]);

    public ulong Size => ReadUInt64BigEndian(_bytes[0x38..]);

    public ulong ExtentCount => (Flags2 & LargeCounts) != 0 ? ReadUInt64BigEndian(_bytes[0x18..]) : ReadUInt32BigEndian(_bytes[0x4C..]);

    public bool IsRealtime => (ReadUInt16BigEndian(_bytes[0x5A..]) & 1) != 0;

    /// <summary>Whether a block of it may be another file's as well: set before the first is shared, on both files.</summary>
    public bool MayShare => (Flags2 & Reflink) != 0;

    public bool HasUnknownFlags => (Flags2 & ~KnownFlags2) != 0;

    public ReadOnlySpan<byte> DataFork => _bytes.Slice(CoreSize, ForkOffset == 0 ? _bytes.Length - CoreSize : ForkOffset);

    private int Version => _bytes[4];

    private ulong Flags2 => Version == 3 ? ReadUInt64BigEndian(_bytes[0x78..]) : 0;

    private int CoreSize => Version == 3 ? 0xB0 : 0x64;

    private int ForkOffset => _bytes[0x52] * 8;

    /// <exception cref="InDoubtException">It is not the inode of this number, or its checksum is wrong.</exception>
    public void Check(Layout layout, ulong number)
    {
        bool mine = ReadUInt16BigEndian(_bytes) == ExpectedMagic && Version == (layout.HasChecksums ? 3 : 2) && CoreSize + ForkOffset < _bytes.Length;
        Unless(mine, $"XFS inode {number} is not there, or of a version that is not known here");
        Unless(
            !layout.HasChecksums
                || (ReadUInt64BigEndian(_bytes[0x98..]) == number && _bytes.Slice(0xA0, 16).SequenceEqual(layout.MetaUuid) && ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.OfStructure(_bytes, ChecksumOffset)),
            $"XFS inode {number} does not match its checksum");
    }
}
