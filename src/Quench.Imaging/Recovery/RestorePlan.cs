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

    /// <summary>Bytes of the target; of a new file, the volume's.</summary>
    public required long TargetLength { get; init; }

    /// <summary>Read the target first, and write only what differs.</summary>
    public bool OnlyDifferent { get; init; }

    /// <summary>Read everything back at the end and compare.</summary>
    public bool ReadBack { get; init; }

    /// <summary>Whether something that is there now will be lost.</summary>
    public bool IsDestructive => TargetKind != RestoreTargetKind.NewFile;

    /// <summary>Bytes at the target's end that the volume does not reach: they stay as they are.</summary>
    public long Beyond => TargetLength - Volume.Length;
}
