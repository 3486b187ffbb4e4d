namespace Quench.FileSystems;

/// <summary>What a name in a folder leads to, by the numbers that ext4 and XFS store.</summary>
internal enum EntryKind : byte
{
    Unknown = 0,
    RegularFile = 1,
    Folder = 2,
}

/// <summary>A name in a folder.</summary>
/// <param name="Name">The name; what is no text is U+FFFD.</param>
/// <param name="Inode">The inode, or the reference of the record, that it leads to.</param>
/// <param name="Kind">What that is; unknown where the file system does not say it here, or it is something else.</param>
/// <param name="IgnoresCase">Whether it is one name with those that differ from it in case only.</param>
internal readonly record struct FolderEntry(string Name, ulong Inode, EntryKind Kind, bool IgnoresCase);
