namespace Quench.Snapshots.Providers.Cold;

/// <summary>What kind of thing a path names, as far as imaging is concerned.</summary>
public enum PathKind
{
    /// <summary>Nothing is there.</summary>
    Missing,

    /// <summary>A block device.</summary>
    BlockDevice,

    /// <summary>A regular file: an image of a disk or volume.</summary>
    File,

    /// <summary>A directory.</summary>
    Directory,

    /// <summary>A pipe, a socket, a character device: nothing to image or restore to.</summary>
    Other,
}

/// <summary>A path, what is there, and who uses it now.</summary>
/// <param name="Path">The path as it was given, made absolute.</param>
/// <param name="Kind">What is there.</param>
/// <param name="Length">Bytes of a device or a file; 0 otherwise.</param>
/// <param name="Users">Who holds it, each as a phrase: "mounted at /srv", "swap space", "attached to /dev/loop3". Empty when nobody does.</param>
public sealed record PathUse(string Path, PathKind Kind, long Length, IReadOnlyList<string> Users)
{
    /// <summary>Bytes of a device's logical sectors; null of anything else, and where the kernel does not say.</summary>
    public int? SectorSize { get; init; }

    /// <summary>Of a partition, where it begins on its disk, in bytes; null of anything else.</summary>
    public long? PartitionStart { get; init; }

    /// <summary>Whether somebody uses it.</summary>
    public bool IsInUse => Users.Count > 0;

    /// <summary>Who uses it, in one phrase.</summary>
    public string UsedBy => string.Join(", ", Users);
}
