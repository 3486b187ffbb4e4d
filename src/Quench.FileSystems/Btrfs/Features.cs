namespace Quench.FileSystems.Btrfs;

/// <summary>Features without which a file system must not be read.</summary>
[Flags]
internal enum IncompatibleFeatures : ulong
{
    None = 0,
    MixedBackReferences = 1 << 0,
    DefaultSubvolume = 1 << 1,
    MixedGroups = 1 << 2,
    CompressLzo = 1 << 3,
    CompressZstd = 1 << 4,
    BigMetadata = 1 << 5,
    ExtendedReferences = 1 << 6,
    Raid56 = 1 << 7,
    SkinnyMetadata = 1 << 8,
    NoHoles = 1 << 9,
    MetadataUuid = 1 << 10,
    Raid1C34 = 1 << 11,
    SimpleQuota = 1 << 16,

    /// <summary>Those of profiles are known, because the profiles themselves are looked at chunk by chunk.</summary>
    Known = MixedBackReferences | DefaultSubvolume | MixedGroups | CompressLzo | CompressZstd | BigMetadata | ExtendedReferences | Raid56
        | SkinnyMetadata | NoHoles | MetadataUuid | Raid1C34 | SimpleQuota,
}

/// <summary>Features without which a file system must not be written.</summary>
[Flags]
internal enum ReadOnlyCompatibleFeatures : ulong
{
    None = 0,
    FreeSpaceTree = 1,
    FreeSpaceTreeValid = 2,
    Verity = 4,
    BlockGroupTree = 8,
    Known = FreeSpaceTree | FreeSpaceTreeValid | Verity | BlockGroupTree,
}

/// <summary>Flags of the superblock: in what state the whole file system is.</summary>
[Flags]
internal enum SuperblockFlags : ulong
{
    None = 0,
    Written = 1,
    Relocation = 2,
    Error = 4,
    Seeding = 1UL << 32,
    Known = Written | Relocation | Error | Seeding,
}

/// <summary>What a chunk holds, and in how many copies.</summary>
[Flags]
internal enum ChunkTypes : ulong
{
    None = 0,
    Data = 1,
    System = 2,
    Metadata = 4,
    Raid0 = 8,
    Duplicate = 0x20,
    Contents = Data | System | Metadata,
}
