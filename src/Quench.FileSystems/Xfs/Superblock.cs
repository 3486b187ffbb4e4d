using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Xfs;

// The superblock: the first sector of every allocation group; big-endian, but for its checksum.
// (XFS Algorithms & Data Structures, "Superblocks")
//
//     0x00  magic "XFSB" ─┬ blocksize ────┬ dblocks (8)
//     0x10  rblocks (8) ──────────────────┼ rextents (8)
//     0x20  uuid (16)
//     0x30  logstart (8) ─────────────────┼ rootino (8)
//     0x50  rextsize ─────┬ agblocks ─────┼ agcount ──────┬ rbmblocks
//     0x60  logblocks ────┬ versionnum ┬ sectsize ┬ inodesize ┬ inopblock
//     0x6C  fname (12)
//     0x78  blocklog, sectlog, inodelog, inopblog, agblklog, rextslog, inprogress, imax_pct (1 each)
//     0x80  icount (8) ───┼ ifree (8) ────┼ fdblocks (8) ─┼ frextents (8)      counters
//     0xA0  uquotino (8) ─┼ gquotino (8) ─┼ qflags (2), flags, shared_vn, inoalignmt (4)
//     0xC0  dirblklog, logsectlog, logsectsize (2), logsunit (4), features2 (4), bad_features2 (4)
//     0xD0  features_compat, features_ro_compat, features_incompat, features_log_incompat (4 each)
//     0xE0  crc (little-endian), spino_align, pquotino (8), lsn (8, at 0xF0), meta_uuid (16, at 0xF8)
internal readonly ref struct Superblock(ReadOnlySpan<byte> bytes)
{
    public const int Size = 512;
    public const uint ExpectedMagic = 0x58465342;
    public const int ChecksumOffset = 0xE0;
    private const uint FileTypeV4 = 0x200; // of features2

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public uint Magic => ReadUInt32BigEndian(_bytes);

    public uint BlockSize => ReadUInt32BigEndian(_bytes[4..]);

    public ulong Blocks => ReadUInt64BigEndian(_bytes[8..]);

    public ulong RealtimeBlocks => ReadUInt64BigEndian(_bytes[0x10..]);

    public ReadOnlySpan<byte> Uuid => _bytes.Slice(0x20, 16);

    public ulong LogStart => ReadUInt64BigEndian(_bytes[0x30..]);

    public ulong RootInode => ReadUInt64BigEndian(_bytes[0x38..]);

    public uint GroupBlocks => ReadUInt32BigEndian(_bytes[0x54..]);

    public uint Groups => ReadUInt32BigEndian(_bytes[0x58..]);

    public uint LogBlocks => ReadUInt32BigEndian(_bytes[0x60..]);

    public int Version => ReadUInt16BigEndian(_bytes[0x64..]) & 0xF;

    public VersionBits VersionBits => (VersionBits)(ReadUInt16BigEndian(_bytes[0x64..]) & 0xFFF0);

    public ushort SectorSize => ReadUInt16BigEndian(_bytes[0x66..]);

    public ushort InodeSize => ReadUInt16BigEndian(_bytes[0x68..]);

    public ReadOnlySpan<byte> Name => _bytes.Slice(0x6C, 12);

    public byte BlockLog => _bytes[0x78];

    public byte SectorLog => _bytes[0x79];

    public byte InodesPerBlockLog => _bytes[0x7B];

    public byte GroupBlockLog => _bytes[0x7C];

    public bool InProgress => _bytes[0x7E] != 0;

    public ulong FreeBlocks => ReadUInt64BigEndian(_bytes[0x90..]);

    public byte FolderBlockLog => _bytes[0xC0];

    /// <summary>Whether folders say what their names lead to.</summary>
    public bool HasFileTypes => Version == 5 ? (Incompatible & IncompatibleFeatures.FileType) != 0 : (VersionBits & VersionBits.More) != 0 && (ReadUInt32BigEndian(_bytes[0xC8..]) & FileTypeV4) != 0;

    public ReadOnlyCompatibleFeatures ReadOnlyCompatible => Version == 5 ? (ReadOnlyCompatibleFeatures)ReadUInt32BigEndian(_bytes[0xD4..]) : 0;

    public IncompatibleFeatures Incompatible => Version == 5 ? (IncompatibleFeatures)ReadUInt32BigEndian(_bytes[0xD8..]) : 0;

    /// <summary>The identifier that metadata carry: the file system's own, unless that was changed later.</summary>
    public ReadOnlySpan<byte> MetaUuid => (Incompatible & IncompatibleFeatures.MetaUuid) != 0 ? _bytes.Slice(0xF8, 16) : Uuid;

    public bool HasRightChecksum => ReadUInt32LittleEndian(_bytes[ChecksumOffset..]) == Crc32c.OfStructure(_bytes[..SectorSize], ChecksumOffset);

    /// <summary>The facts as the superblock states them, believable or not.</summary>
    public FileSystemFacts Facts()
    {
        UInt128 length = (UInt128)Blocks * BlockSize;
        int blockSize = BlockSize <= Layout.MostBlockSize ? (int)BlockSize : 0;
        FileSystemState state = (Incompatible & IncompatibleFeatures.NeedsRepair) != 0 ? FileSystemState.Unsound : FileSystemState.Clean;
        return new FileSystemFacts(
            "xfs", VolumeText.Label(Name), VolumeText.Uuid(Uuid), blockSize, length > long.MaxValue ? long.MaxValue : (long)length, state);
    }

    /// <summary>Whether a byte of the superblock may differ between its place and the log without any block changing hands: counters, quota flags, checksum, place in the log.</summary>
    public static bool IsCounter(int offset) => offset is (>= 0x80 and < 0xA0) or (>= 0xB0 and < 0xB2) or (>= ChecksumOffset and < ChecksumOffset + 4) or (>= 0xF0 and < 0xF8);
}
