using Quench.Blocks;
using Quench.FileSystems.PartitionTables;
using Quench.Vault;

namespace Quench.Imaging.Recovery;

/// <summary>What a restore writes to.</summary>
public enum RestoreTargetKind
{
    /// <summary>A file that does not exist yet: it becomes a sparse file of the volume's size.</summary>
    NewFile,

    /// <summary>An image file that is there already.</summary>
    ExistingFile,

    /// <summary>A block device.</summary>
    BlockDevice,
}

/// <summary>
/// A restore that has been thought through and checked: what is printed by a rehearsal is the very object that a real run executes.
/// Made by <see cref="RestorePlanner"/>; nothing has been touched yet.
/// </summary>
public sealed record RestorePlan
{
    /// <summary>The point.</summary>
    public required RecoveryPoint Point { get; init; }

    /// <summary>The volume of that point.</summary>
    public required VolumeRecord Volume { get; init; }

    /// <summary>Where to, absolute.</summary>
    public required string TargetPath { get; init; }

    /// <summary>What is there.</summary>
    public required RestoreTargetKind TargetKind { get; init; }

    /// <summary>The number of the partition that is restored alone; null for all of the volume.</summary>
    public int? PartitionNumber => Partition?.Number;

    /// <summary>Whether the partition table is written anew, to fit the target.</summary>
    public bool FitsTable => Fit is { Writes.Count: > 0 };

    /// <summary>The number of the last partition, when it takes the room behind it.</summary>
    public int? GrownPartition => Fit?.Grown?.Number;

    /// <summary>Bytes that this partition has then.</summary>
    public long? GrownLength => Fit?.Grown?.Extent.Length;

    /// <summary>
    /// Where the target begins on its disk, in bytes, when the boot sector is changed to say so: of a FAT, exFAT or NTFS partition whose boot sector said where it lay. Null when nothing is changed.
    /// </summary>
    public long? MovedTo => Moves.Count > 0 ? TargetStart : null;

    /// <summary>The sector at which the boot sector says that the volume begins, when the target begins elsewhere and this is left as it is: a machine may not start from it. Null otherwise.</summary>
    public ulong? SaysItBeginsAt { get; init; }

    /// <summary>Where the target begins on its disk; null when it is no partition.</summary>
    internal long? TargetStart { get; init; }

    /// <summary>What is written otherwise than it is in the image, so that the boot sector says where the target begins. Offsets are of the partition.</summary>
    internal IReadOnlyList<(long Offset, byte[] Bytes)> Moves { get; init; } = [];

    /// <summary>The partition that is restored alone; null for all of the volume.</summary>
    internal Partition? Partition { get; init; }

    /// <summary>What is written otherwise than it is in the image, or left out, because the target has another size; null when nothing is.</summary>
    internal TableFit? Fit { get; init; }

    /// <summary>Bytes of the target; of a new file, what is restored.</summary>
    public required long TargetLength { get; init; }

    /// <summary>Read the target first, and write only what differs.</summary>
    public bool OnlyDifferent { get; init; }

    /// <summary>Read everything back at the end and compare.</summary>
    public bool ReadBack { get; init; }

    /// <summary>Whether something that is there now will be lost.</summary>
    public bool IsDestructive => TargetKind != RestoreTargetKind.NewFile;

    /// <summary>What of the image is restored.</summary>
    public Extent Part => Partition?.Extent ?? new Extent(0, Volume.Length);

    /// <summary>Bytes at the target's end that what is restored does not reach: they stay as they are. Negative where the end of a disk is left out.</summary>
    public long Beyond => TargetLength - Part.Length;
}
