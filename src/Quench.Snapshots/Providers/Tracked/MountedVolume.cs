namespace Quench.Snapshots.Providers.Tracked;

/// <summary>A device with a file system that is mounted from it.</summary>
/// <param name="Name">The volume's name in the point.</param>
/// <param name="Device">The device's path.</param>
/// <param name="MountPoint">One of the places where it is mounted.</param>
/// <param name="FileSystem">The file system's type as the kernel names it.</param>
/// <param name="IsRoot">Whether it is the machine's own root, which is not frozen without being told to.</param>
public sealed record MountedVolume(string Name, string Device, string MountPoint, string FileSystem, bool IsRoot);
