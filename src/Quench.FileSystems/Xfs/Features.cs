namespace Quench.FileSystems.Xfs;

/// <summary>Bits of the version field, above the version number in its lowest four.</summary>
[Flags]
internal enum VersionBits : ushort
{
    None = 0,
    Shared = 0x200,
    LogV2 = 0x400,
    DirV2 = 0x2000,
    IgnoresCase = 0x4000, // of ASCII letters
    More = 0x8000,
    Known = 0x10 | 0x20 | 0x40 | 0x80 | 0x100 | LogV2 | 0x800 | 0x1000 | DirV2 | IgnoresCase | More,
}

/// <summary>Features of version 5 without which a file system must not be written.</summary>
[Flags]
internal enum ReadOnlyCompatibleFeatures : uint
{
    None = 0,
    FreeInodeTree = 1,
    ReverseMap = 2,
    Reflink = 4,
    InodeTreeCounts = 8,
    Known = FreeInodeTree | ReverseMap | Reflink | InodeTreeCounts,
}

/// <summary>Features of version 5 without which a file system must not be read.</summary>
[Flags]
internal enum IncompatibleFeatures : uint
{
    None = 0,
    FileType = 1,
    SparseInodes = 2,
    MetaUuid = 4,
    BigTime = 8,
    NeedsRepair = 0x10,
    LargeExtentCounts = 0x20,
    ExchangeRange = 0x40,
    ParentPointers = 0x80,
    Known = FileType | SparseInodes | MetaUuid | BigTime | NeedsRepair | LargeExtentCounts | ExchangeRange | ParentPointers,
}
