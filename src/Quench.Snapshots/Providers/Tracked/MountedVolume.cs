namespace Quench.Snapshots.Providers.Tracked;

/// <summary>A device with a file system that is mounted from it, or a whole disk whose partitions are.</summary>
/// <param name="Name">The volume's name in the point.</param>
/// <param name="Device">The device's path.</param>
/// <param name="MountPoint">One of the places where it is mounted; of a disk, the first of its partitions that can be frozen.</param>
/// <param name="FileSystem">The file system's type as the kernel names it; empty of a disk.</param>
/// <param name="IsRoot">Whether it is, or has on it, the machine's own root, which is not frozen without being told to.</param>
public sealed record MountedVolume(string Name, string Device, string MountPoint, string FileSystem, bool IsRoot)
{
    /// <summary>Of a disk: its partitions that are in use. Empty of anything else.</summary>
    public IReadOnlyList<PartInUse> Parts { get; init; } = [];

    /// <summary>Where its file systems are mounted.</summary>
    public IReadOnlyList<string> MountPoints => Parts.Count == 0 ? [MountPoint] : [.. Parts.Select(part => part.MountPoint).OfType<string>()];

    /// <summary>Those of them that are frozen at the instant.</summary>
    internal IReadOnlyList<string> FrozenPoints => Parts.Count == 0 ? [MountPoint] : [.. Parts.Where(part => part.IsFrozen).Select(part => part.MountPoint!)];
}
