namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>Something below a folder.</summary>
/// <param name="Path">Relative to the folder, each byte as one character.</param>
/// <param name="IsFolder">It is a folder.</param>
/// <param name="IsChosen">It belongs to the component; a folder that does not may lie above something that does.</param>
public readonly record struct TreeEntry(string Path, bool IsFolder, bool IsChosen);
