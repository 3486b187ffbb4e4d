using System.Globalization;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination;

/// <summary>Finds where folders lie inside the images of a set's volumes: in which image, at which offset of it their file system begins, and under which path there.</summary>
/// <remarks>
/// <code>
/// the folder as the application names it  /var/lib/app ─▶ /srv/data/app        links resolved
/// the mount it lies on                    /srv/data: folder /sub of 259:2     a bind mount, a subvolume
/// in the file system                      /sub/app
/// the file system in the image            259:2 is a partition of 259:0, from sector 2048 on
/// </code>
/// </remarks>
internal sealed class FolderPlaces
{
    private const int SysfsSector = 512; // what sysfs counts in, whatever the disk's sectors are

    private readonly Dictionary<int, MountEntry> _mounts;
    private readonly Dictionary<DeviceNumber, (string Volume, long Offset)> _fileSystems = [];

    /// <summary>Looks the volumes' file systems up.</summary>
    /// <param name="volumes">The set.</param>
    /// <param name="mounts">What is mounted.</param>
    internal FolderPlaces(IReadOnlyList<OperationVolume> volumes, IReadOnlyList<MountEntry> mounts)
    {
        _mounts = mounts.DistinctBy(mount => mount.Number).ToDictionary(mount => mount.Number);
        foreach (OperationVolume volume in volumes)
        {
            if (volume.MountPoint is { } mountPoint && MountOf(mountPoint) is { } mount && BeginningOf(mount, volume.Device) is { } offset)
            {
                _fileSystems[mount.Device] = (volume.Name, offset);
            }
        }
    }

    /// <summary>Where a folder lies.</summary>
    /// <returns>Null when it is on none of the volumes, or that can't be told.</returns>
    internal FolderPlace? Find(string folder) =>
        MountOf(folder) is { } mount && _fileSystems.TryGetValue(mount.Device, out (string Volume, long Offset) found)
        && NativeFile.TryGetRealPath(folder) is { } real && PathInside(mount, real) is { } path
            ? new FolderPlace(folder, found.Volume, found.Offset, path)
            : null;

    /// <summary>The path inside the file system of what is seen at a real path below a mount point; null when it is not below it.</summary>
    internal static string? PathInside(MountEntry mount, string real)
    {
        string point = mount.MountPoint.TrimEnd('/');
        if (real != mount.MountPoint && !real.StartsWith(point + "/", StringComparison.Ordinal))
        {
            return null;
        }

        string path = mount.Root.TrimEnd('/') + real[Math.Min(point.Length, real.Length)..].TrimEnd('/');
        return path.Length == 0 ? "/" : path;
    }

    /// <summary>The first byte of a device on the disk that was imaged.</summary>
    /// <param name="device">What the file system is on.</param>
    /// <param name="imaged">What is imaged.</param>
    /// <param name="folderOf">The kernel's folder of a device, links resolved; null when there is none.</param>
    /// <returns>0 when they are the same; null when the one is no partition of the other.</returns>
    internal static long? BeginningOf(DeviceNumber device, DeviceNumber imaged, Func<DeviceNumber, string?> folderOf)
    {
        if (device == imaged)
        {
            return 0;
        }

        if (folderOf(device) is not { } folder || !File.Exists(Path.Combine(folder, "partition"))
            || ReadLine(Path.Combine(folder, "..", "dev")) != imaged.ToString()
            || !long.TryParse(ReadLine(Path.Combine(folder, "start")), NumberStyles.None, CultureInfo.InvariantCulture, out long sectors))
        {
            return null;
        }

        return checked(sectors * SysfsSector);
    }

    private static long? BeginningOf(MountEntry mount, string imaged) =>
        DeviceOf(imaged) is { } whole && (mount.Device.Major == 0 ? DeviceOf(mount.Source) : mount.Device) is { } device // btrfs shows a number of its own
            ? BeginningOf(device, whole, number => Directory.Exists($"/sys/dev/block/{number}") ? BlockDevice.FolderOf(number) : null)
            : null;

    private static DeviceNumber? DeviceOf(string path) => NativeFile.TryGetStatus(path) is { Kind: FileKind.BlockDevice } status ? status.SpecialDevice : null;

    private static string? ReadLine(string path) => File.Exists(path) ? File.ReadAllText(path).Trim() : null;

    private MountEntry? MountOf(string path) => NativeFile.TryGetMountNumber(path) is { } number ? _mounts.GetValueOrDefault(number) : null;
}
