using Quench.Imaging.Recovery.Files;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Restoring;

namespace Quench.Imaging.Recovery.Components;

/// <summary>One folder of a component, with all of its that lies below.</summary>
public sealed record RestoreFolder
{
    /// <summary>The folder as the application names it.</summary>
    public required string Folder { get; init; }

    /// <summary>Where it lies in the point.</summary>
    public required FolderPlace Place { get; init; }

    /// <summary>Where it is put.</summary>
    public required TargetFolder Target { get; init; }

    /// <summary>Files that are put there.</summary>
    public required long FileCount { get; init; }

    /// <summary>Their bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>Files and links of the component that are there now.</summary>
    public required long ReplacedCount { get; init; }

    /// <summary>What the writer handed over to be put there: the path below the folder, and the text.</summary>
    public required IReadOnlyList<WriterDocument> Documents { get; init; }

    /// <summary>Storage that the files take.</summary>
    internal long NeededBytes { get; init; }

    /// <summary>The image's folder, as this process reaches it.</summary>
    internal string Source { get; init; } = "";

    /// <summary>What belongs to the component.</summary>
    internal FileChoice Choice { get; init; } = new("/", [], []);

    /// <summary>What is copied, folders on the way included, in the order of a walk.</summary>
    internal IReadOnlyList<TreeFile> Files { get; init; } = [];
}
