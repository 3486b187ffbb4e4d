using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4.Journal;

/// <summary>Features of a journal. (jbd2 superblock, s_feature_incompat)</summary>
[Flags]
internal enum JournalFeatures : uint
{
    Revoke = 0x1,
    SixtyFourBit = 0x2,
    AsyncCommit = 0x4,
    ChecksumV2 = 0x8,
    ChecksumV3 = 0x10,
    FastCommit = 0x20,
    Known = Revoke | SixtyFourBit | AsyncCommit | ChecksumV2 | ChecksumV3,
}

// The journal's first block; 1024 bytes of it; big-endian.
// (Linux Documentation/filesystems/ext4, "Journal (jbd2)", super block)
//
//     0x00  header (12) ──┬ blocksize ────┬ maxlen ─────┬ first
//     0x18  sequence ─────┼ start ────────┼ errno ──────┤
//     0x24  compat ───────┼ incompat ─────┼ ro_compat ──┼ uuid (16) …
//     0x50  checksum_type (1) …                           0xFC checksum
internal readonly ref struct JournalSuperblock(ReadOnlySpan<byte> bytes)
{
    public const int Size = 1024;

    private const int ChecksumOffset = 0xFC;
    private const int Crc32cType = 4; // jbd2 numbers its checksums otherwise than ext4's superblock does
    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint BlockSize => ReadUInt32BigEndian(_bytes[0xC..]);

    /// <summary>Blocks of the journal.</summary>
    public uint Blocks => ReadUInt32BigEndian(_bytes[0x10..]);

    /// <summary>The first block of the log; it wraps round to here.</summary>
    public uint First => ReadUInt32BigEndian(_bytes[0x14..]);

    /// <summary>The first transaction to replay.</summary>
    public uint Sequence => ReadUInt32BigEndian(_bytes[0x18..]);

    /// <summary>Where it begins; 0 when the log is empty.</summary>
    public uint Start => ReadUInt32BigEndian(_bytes[0x1C..]);

    /// <summary>An error the file system met and could not yet note in its own superblock; 0 for none.</summary>
    public uint Error => ReadUInt32BigEndian(_bytes[0x20..]);

    /// <summary>Version 1 has no features: those bytes may be anything.</summary>
    public JournalFeatures Features => IsSecondVersion ? (JournalFeatures)ReadUInt32BigEndian(_bytes[0x28..]) : 0;

    public bool HasChecksums => (Features & (JournalFeatures.ChecksumV2 | JournalFeatures.ChecksumV3)) != 0;

    /// <summary>What every checksum of the log starts from.</summary>
    public uint ChecksumSeed => Crc32c.Append(uint.MaxValue, _bytes.Slice(0x30, 16));

    private uint CompatibleFeatures => IsSecondVersion ? ReadUInt32BigEndian(_bytes[0x24..]) : 0;

    private uint ReadOnlyFeatures => IsSecondVersion ? ReadUInt32BigEndian(_bytes[0x2C..]) : 0;

    private bool IsSecondVersion => new JournalBlock(_bytes).Type == JournalBlockType.SecondSuperblock;

    /// <summary>Holds everything stated here against itself and against the file that the journal is.</summary>
    /// <exception cref="InDoubtException">It does not fit, is damaged, or uses a feature not known here.</exception>
    public void Require(int blockSize, long blocksInFile)
    {
        JournalBlock block = new(_bytes);
        bool isSuperblock = block.Magic == JournalBlock.ExpectedMagic && block.Type is JournalBlockType.FirstSuperblock or JournalBlockType.SecondSuperblock;
        Unless(isSuperblock, "the ext4 journal has no superblock");
        uint unknown = (uint)(Features & ~JournalFeatures.Known);
        Unless(unknown == 0, unknown == (uint)JournalFeatures.FastCommit
            ? "the ext4 journal uses fast commits, which Quench does not replay; a mount or e2fsck does"
            : $"the ext4 journal uses a feature not known here (bits 0x{unknown:x})");
        const JournalFeatures bothKinds = JournalFeatures.ChecksumV2 | JournalFeatures.ChecksumV3;
        Unless((Features & bothKinds) != bothKinds, "the ext4 journal states two kinds of checksums at once");
        Unless(CompatibleFeatures == 0 && ReadOnlyFeatures == 0, "the ext4 journal uses its first kind of checksums, which Quench does not verify; a mount or e2fsck replays it");
        Unless(!HasChecksums || (_bytes[0x50] == Crc32cType && HasChecksum()), "the ext4 journal's superblock does not match its checksum");
        bool fits = BlockSize == blockSize && Blocks <= blocksInFile && First >= 1 && First < Blocks && (Start == 0 || (Start >= First && Start < Blocks));
        Unless(fits, "the numbers in the ext4 journal's superblock do not fit the journal");
        Unless(Error == 0, "the ext4 journal has noted an error; check the file system with e2fsck");
    }

    private bool HasChecksum()
    {
        uint crc = Crc32c.Append(uint.MaxValue, _bytes[..ChecksumOffset]);
        crc = Checksums.Crc32cLittleEndian(crc, 0);
        return ReadUInt32BigEndian(_bytes[ChecksumOffset..]) == Crc32c.Append(crc, _bytes[(ChecksumOffset + 4)..]);
    }
}
