using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Ext4;

// The superblock: 1024 bytes at byte 1024 of the volume, whatever the block size; little-endian.
// (Linux Documentation/filesystems/ext4, "Super Block")
//
//     0x00  inodes_count ─┬ blocks_count_lo ┬ r_blocks_lo ──┬ free_blocks_lo
//     0x10  free_inodes ──┼ first_data_block┼ log_block_size┼ log_cluster_size
//     0x20  blocks_per_grp┼ clusters_per_grp┼ inodes_per_grp┼ mtime
//     0x30  wtime ────────┼ mnt counts ─────┼ magic ┬ state ┼ errors ┬ minor_rev
//     0x40  lastcheck ────┼ checkinterval ──┼ creator_os ───┼ rev_level
//     0x50  def_resuid/gid┼ first_ino ──────┼ inode_size ┬ block_group_nr ┼ feature_compat
//     0x60  incompat ─────┼ ro_compat ──────┼ uuid (16 bytes)
//     0x70  …uuid ────────┼ ────────────────┼ volume_name (16 bytes)
//     0xC8  …                prealloc (2) ──┬ reserved_gdt_blocks (2, at 0xCE)
//     0xD0  journal_uuid (16 bytes)
//     0xE0  journal_inum ─┼ journal_dev ────┼ last_orphan ──┼ hash_seed…
//     0xFC  hash_version ┬ jnl_backup_type ┬ desc_size (2, at 0xFE)
//     0x100 mount_opts ───┼ first_meta_bg ──┼ mkfs_time ────┼ jnl_blocks…
//     0x150 blocks_count_hi …   0x174 log_groups_per_flex, checksum_type (at 0x175)
//     0x24C backup_bgs[2] …     0x270 checksum_seed …     0x3FC checksum
internal readonly ref struct Superblock(ReadOnlySpan<byte> bytes)
{
    public const int Offset = 1024;
    public const int Size = 1024;
    public const ushort ExpectedMagic = 0xEF53;
    public const int Crc32cType = 1;

    private readonly ReadOnlySpan<byte> _bytes = bytes[..Size];

    public uint InodesCount => ReadUInt32LittleEndian(_bytes);

    public uint FirstDataBlock => ReadUInt32LittleEndian(_bytes[0x14..]);

    public uint LogBlockSize => ReadUInt32LittleEndian(_bytes[0x18..]);

    public uint LogClusterSize => ReadUInt32LittleEndian(_bytes[0x1C..]);

    public uint BlocksPerGroup => ReadUInt32LittleEndian(_bytes[0x20..]);

    public uint ClustersPerGroup => ReadUInt32LittleEndian(_bytes[0x24..]);

    public uint InodesPerGroup => ReadUInt32LittleEndian(_bytes[0x28..]);

    public ushort Magic => ReadUInt16LittleEndian(_bytes[0x38..]);

    public SuperblockState State => (SuperblockState)ReadUInt16LittleEndian(_bytes[0x3A..]);

    /// <summary>What a sound file system without a journal looks like while it is mounted: not marked valid, and no errors noted.</summary>
    public bool MayBeInUseWithoutJournal =>
        !Has(CompatibleFeatures.HasJournal) && (State & (SuperblockState.Valid | SuperblockState.Errors | SuperblockState.FastCommitReplay)) == 0;

    public uint Revision => ReadUInt32LittleEndian(_bytes[0x4C..]);

    public ushort DynamicInodeSize => ReadUInt16LittleEndian(_bytes[0x58..]);

    public CompatibleFeatures Compatible => (CompatibleFeatures)ReadUInt32LittleEndian(_bytes[0x5C..]);

    public IncompatibleFeatures Incompatible => (IncompatibleFeatures)ReadUInt32LittleEndian(_bytes[0x60..]);

    public ReadOnlyCompatibleFeatures ReadOnlyCompatible => (ReadOnlyCompatibleFeatures)ReadUInt32LittleEndian(_bytes[0x64..]);

    public ReadOnlySpan<byte> Uuid => _bytes.Slice(0x68, 16);

    public ReadOnlySpan<byte> VolumeName => _bytes.Slice(0x78, 16);

    public ushort ReservedDescriptorBlocks => ReadUInt16LittleEndian(_bytes[0xCE..]);

    public uint JournalInode => ReadUInt32LittleEndian(_bytes[0xE0..]);

    public ushort DescriptorSize => ReadUInt16LittleEndian(_bytes[0xFE..]);

    public uint FirstMetaGroup => ReadUInt32LittleEndian(_bytes[0x104..]);

    /// <summary>Both halves; the upper one counts only with 64-bit block numbers.</summary>
    public ulong BlocksCount => ReadUInt32LittleEndian(_bytes[4..])
        | (Has(IncompatibleFeatures.SixtyFourBit) ? (ulong)ReadUInt32LittleEndian(_bytes[0x150..]) << 32 : 0);

    public byte ChecksumType => _bytes[0x175];

    public (uint First, uint Second) BackupGroups => (ReadUInt32LittleEndian(_bytes[0x24C..]), ReadUInt32LittleEndian(_bytes[0x250..]));

    public uint ChecksumSeed => ReadUInt32LittleEndian(_bytes[0x270..]);

    public uint Checksum => ReadUInt32LittleEndian(_bytes[0x3FC..]);

    public uint ComputedChecksum => Crc32c.Append(uint.MaxValue, _bytes[..0x3FC]);

    public bool Has(CompatibleFeatures feature) => (Compatible & feature) != 0;

    public bool Has(IncompatibleFeatures feature) => (Incompatible & feature) != 0;

    public bool Has(ReadOnlyCompatibleFeatures feature) => (ReadOnlyCompatible & feature) != 0;

    /// <summary>The facts as the superblock states them, believable or not.</summary>
    public FileSystemFacts Facts() => new(TypeName(), VolumeText.Label(VolumeName), VolumeText.Uuid(Uuid), StatedBlockSize(), StatedLength(), StatedState());

    private string TypeName() =>
        Has(IncompatibleFeatures.JournalDevice) ? "jbd"
        : (Incompatible & ~IncompatibleFeatures.BeforeExt4) != 0 || (ReadOnlyCompatible & ~ReadOnlyCompatibleFeatures.BeforeExt4) != 0 ? "ext4"
        : Has(CompatibleFeatures.HasJournal) ? "ext3" : "ext2";

    private int StatedBlockSize()
    {
        uint log = Has(ReadOnlyCompatibleFeatures.Bigalloc) ? LogClusterSize : LogBlockSize;
        return log <= 20 ? 1024 << (int)log : 0;
    }

    private long StatedLength()
    {
        UInt128 length = LogBlockSize <= 6 ? (UInt128)BlocksCount * (1024u << (int)LogBlockSize) : 0;
        return length > long.MaxValue ? long.MaxValue : (long)length;
    }

    private FileSystemState StatedState() =>
        (State & SuperblockState.Errors) != 0 || (State & SuperblockState.Valid) == 0 ? FileSystemState.Unsound
        : Has(IncompatibleFeatures.NeedsRecovery) ? FileSystemState.NeedsRecovery : FileSystemState.Clean;
}
