namespace Quench.FileSystems.Ext4;

/// <summary>Features an implementation may ignore. (Superblock, s_feature_compat)</summary>
[Flags]
internal enum CompatibleFeatures : uint
{
    HasJournal = 0x4,
    ResizeInode = 0x10,
    LazyBlockGroups = 0x40,
    ExcludeBitmap = 0x100,
    SparseSuper2 = 0x200,
    FastCommit = 0x400,

    /// <summary>The two that give the block bitmaps another meaning; every other compatible feature leaves them alone by definition.</summary>
    Refused = LazyBlockGroups | ExcludeBitmap,
}

/// <summary>Features an implementation must know to read. (Superblock, s_feature_incompat)</summary>
[Flags]
internal enum IncompatibleFeatures : uint
{
    FileType = 0x2,
    NeedsRecovery = 0x4,
    JournalDevice = 0x8,
    MetaBlockGroups = 0x10,
    Extents = 0x40,
    SixtyFourBit = 0x80,
    MultipleMountProtection = 0x100,
    FlexibleBlockGroups = 0x200,
    LargeAttributeInodes = 0x400,
    ChecksumSeed = 0x2000,
    LargeDirectories = 0x4000,
    InlineData = 0x8000,
    Encrypt = 0x10000,
    CaseFold = 0x20000,

    /// <summary>All of the above.</summary>
    Known = FileType | NeedsRecovery | JournalDevice | MetaBlockGroups | Extents | SixtyFourBit | MultipleMountProtection
        | FlexibleBlockGroups | LargeAttributeInodes | ChecksumSeed | LargeDirectories | InlineData | Encrypt | CaseFold,

    /// <summary>Those that ext2 and ext3 have too.</summary>
    BeforeExt4 = FileType | NeedsRecovery | MetaBlockGroups,
}

/// <summary>Features an implementation must know to write. (Superblock, s_feature_ro_compat)</summary>
[Flags]
internal enum ReadOnlyCompatibleFeatures : uint
{
    SparseSuper = 0x1,
    LargeFile = 0x2,
    TreeDirectories = 0x4,
    HugeFile = 0x8,
    DescriptorChecksums = 0x10,
    ManySubdirectories = 0x20,
    LargeInodes = 0x40,
    Quota = 0x100,
    Bigalloc = 0x200,
    MetadataChecksums = 0x400,
    ReadOnly = 0x1000,
    ProjectQuota = 0x2000,
    Verity = 0x8000,
    OrphansPresent = 0x10000,

    /// <summary>
    /// All of the above. Snapshots (0x80), replicas (0x800) and shared blocks (0x4000) are left out on purpose: they say things about
    /// blocks that a bitmap does not.
    /// </summary>
    Known = SparseSuper | LargeFile | TreeDirectories | HugeFile | DescriptorChecksums | ManySubdirectories | LargeInodes | Quota
        | Bigalloc | MetadataChecksums | ReadOnly | ProjectQuota | Verity | OrphansPresent,

    /// <summary>Those that ext2 and ext3 have too.</summary>
    BeforeExt4 = SparseSuper | LargeFile | TreeDirectories,
}

/// <summary>How the file system was left. (Superblock, s_state)</summary>
[Flags]
internal enum SuperblockState : ushort
{
    Valid = 0x1,
    Errors = 0x2,
    FastCommitReplay = 0x20,
}
