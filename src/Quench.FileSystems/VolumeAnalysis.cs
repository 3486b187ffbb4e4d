using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>What is on a volume and which of its bytes matter.</summary>
/// <param name="FileSystem">The file system's facts; null when none was recognised.</param>
/// <param name="Used">The bytes in use: everything when in doubt.</param>
/// <param name="Doubt">Why everything counts as in use although a file system was seen, in one sentence; null when the map is exact.</param>
public sealed record VolumeAnalysis(FileSystemFacts? FileSystem, UsedBlocks Used, string? Doubt)
{
    /// <summary>Of a disk: how it is divided, and what is on each partition; null of anything else. <see cref="FileSystem"/> then speaks of the whole disk.</summary>
    public PartitionedDisk? Disk { get; init; }

    /// <summary>The answer for a volume whose content nobody here can read: all of it matters.</summary>
    public static VolumeAnalysis AllInUse(long length, FileSystemFacts? fileSystem = null, string? doubt = null) =>
        new(fileSystem, UsedBlocks.All(length), doubt);
}

/// <summary>A file system, as its own superblock tells it.</summary>
/// <param name="Type">"ext2", "ext3", "ext4", "xfs", "btrfs", "fat12", "fat16", "fat32", "exfat", "ntfs", "swap"; of a container "luks1", "luks2", "lvm2"; of a disk with partitions "gpt", "mbr".</param>
/// <param name="Label">Its label; empty when it has none.</param>
/// <param name="Uuid">Its identifier in the usual text form; empty when it has none.</param>
/// <param name="BlockSize">Bytes of its block (or cluster) that the map speaks in.</param>
/// <param name="Length">Bytes it covers from the start of the volume.</param>
/// <param name="State">Whether it was left in order.</param>
public sealed record FileSystemFacts(string Type, string Label, string Uuid, int BlockSize, long Length, FileSystemState State)
{
    /// <summary>The program that checks such a file system.</summary>
    public string Checker => Type switch
    {
        "xfs" => "xfs_repair",
        "btrfs" => "btrfs check",
        "fat12" or "fat16" or "fat32" => "fsck.fat",
        "exfat" => "fsck.exfat",
        "ntfs" => "chkdsk under Windows",
        "gpt" => "sgdisk -v",
        "mbr" => "sfdisk --verify",
        _ => "e2fsck",
    };
}

/// <summary>How a file system was left.</summary>
public enum FileSystemState
{
    /// <summary>Unmounted or frozen in order; nothing to replay.</summary>
    Clean,

    /// <summary>As after a power cut: its journal holds work to replay, which a mount does; without a journal a check puts it in order.</summary>
    NeedsRecovery,

    /// <summary>It was not unmounted in order and has no journal to say what is missing, or it has noted errors: check it.</summary>
    Unsound,
}
