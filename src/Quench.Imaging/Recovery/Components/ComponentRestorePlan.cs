using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;

namespace Quench.Imaging.Recovery.Components;

/// <summary>What will happen, before anything does.</summary>
public sealed record ComponentRestorePlan
{
    /// <summary>The point.</summary>
    public required RecoveryPoint Point { get; init; }

    /// <summary>The components.</summary>
    public required IReadOnlyList<RestorableComponent> Components { get; init; }

    /// <summary>Their folders.</summary>
    public required IReadOnlyList<RestoreFolder> Folders { get; init; }

    /// <summary>The folder that stands for the root of all paths: "/" when files go where they were.</summary>
    public required string Target { get; init; }

    /// <summary>The writers that are here now and are asked to make way.</summary>
    public required IReadOnlyList<WriterIdentity> Asked { get; init; }

    /// <summary>What writers handed over that belongs to no folder of these components, by where it would go. It is not put there.</summary>
    public required IReadOnlyList<WriterDocument> NotPlaced { get; init; }

    /// <summary>What was replaced is removed at the end.</summary>
    public required bool DiscardsReplaced { get; init; }

    /// <summary>The instant that the files are of.</summary>
    public DateTimeOffset Instant => Point.Instant;

    /// <summary>Files go where they were.</summary>
    public bool IsInPlace => Target == "/";

    /// <summary>Files that are put there.</summary>
    public long FileCount => Folders.Sum(folder => folder.FileCount);

    /// <summary>Their bytes.</summary>
    public long Bytes => Folders.Sum(folder => folder.Bytes);

    /// <summary>Files that something else is put in the place of.</summary>
    public long ReplacedCount => Folders.Sum(folder => folder.ReplacedCount);
}
