using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers;

/// <summary>Where files of this machine lie inside a mounted volume: their paths from its root folder on.</summary>
public static class VolumePaths
{
    /// <summary>Finds a file's or a folder's path inside a volume.</summary>
    /// <param name="mountPoint">Where all of the volume is mounted.</param>
    /// <param name="path">What is looked for; there must be such a thing now.</param>
    /// <returns>With a slash at its start; null where it does not lie on that volume, or where that is not certain: behind a symbolic link, or below something else that is mounted on the way.</returns>
    public static string? TryFind(string mountPoint, string path)
    {
        ArgumentNullException.ThrowIfNull(mountPoint);
        ArgumentNullException.ThrowIfNull(path);
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        IReadOnlyList<MountEntry> mounts = Mounts.Read();
        bool isThere = mounts.LastOrDefault(mount => mount.MountPoint == mountPoint) is { Root: "/" } && full != mountPoint && IsBelow(full, mountPoint);
        return isThere && IsOnOneDevice(mountPoint, full) && !mounts.Any(mount => mount.MountPoint != mountPoint && IsBelow(mount.MountPoint, mountPoint) && IsBelow(full, mount.MountPoint)) && !HasLinks(full)
            ? full[(mountPoint == "/" ? 0 : mountPoint.Length)..]
            : null;
    }

    /// <summary>The files on a volume that memory is written out to at the moment, by their paths inside it.</summary>
    /// <param name="mountPoint">Where all of the volume is mounted.</param>
    public static IReadOnlyList<string> SwapFilesOn(string mountPoint) => [.. SwapAreas.Read().Where(area => area.IsFile).Select(area => TryFind(mountPoint, area.Path)).OfType<string>()];

    private static bool IsBelow(string path, string folder) => folder == "/" || path == folder || path.StartsWith(folder + "/", StringComparison.Ordinal);

    private static bool IsOnOneDevice(string one, string other) =>
        NativeFile.TryGetStatus(one) is { } left && NativeFile.TryGetStatus(other) is { } right && left.Device == right.Device;

    private static bool HasLinks(string path)
    {
        for (string? part = path; part is { Length: > 1 }; part = Path.GetDirectoryName(part))
        {
            if (new FileInfo(part).LinkTarget is not null)
            {
                return true;
            }
        }

        return false;
    }
}
