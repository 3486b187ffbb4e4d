namespace Quench.Snapshots.Coordination;

/// <summary>Where a component's folder lies inside an image.</summary>
/// <param name="Folder">The folder as the application names it.</param>
/// <param name="Volume">The volume of the set, by its name.</param>
/// <param name="Offset">The file system's first byte in that volume's image: 0 unless the volume is a disk with partitions.</param>
/// <param name="Path">The folder inside that file system, no link in it; "/" for all of it.</param>
public sealed record FolderPlace(string Folder, string Volume, long Offset, string Path);
