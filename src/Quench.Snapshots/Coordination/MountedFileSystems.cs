using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>The file systems of this machine on which applications may have data.</summary>
public static class MountedFileSystems
{
    /// <summary>Those on devices, each once, by its first mount.</summary>
    public static IReadOnlyList<OperationVolume> All() =>
        [.. Mounts.Read().Where(mount => mount.Source.StartsWith("/dev/", StringComparison.Ordinal)).DistinctBy(mount => mount.Device).Select(VolumeOf)];

    /// <summary>The one that is mounted at a place; null when none is.</summary>
    public static OperationVolume? FindAt(string mountPoint)
    {
        string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(mountPoint));
        return Mounts.Read().LastOrDefault(mount => mount.MountPoint == path) is { } found ? VolumeOf(found) : null;
    }

    private static OperationVolume VolumeOf(MountEntry mount) => new(Path.GetFileName(mount.Source), mount.Source, mount.MountPoint);
}
