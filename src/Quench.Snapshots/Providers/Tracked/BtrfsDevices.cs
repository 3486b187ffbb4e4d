using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Which devices a mounted btrfs lies on. Its mounts have a device number of their own, which belongs to no device; sysfs lists what is below, one folder for each
/// file system that is mounted:
/// <code>
/// /sys/fs/btrfs/UUID/devices/sda2 …    what is there
///                    devinfo/1 …       what belongs to it, missing devices included (Linux 5.6)
/// </code>
/// </summary>
internal static class BtrfsDevices
{
    /// <summary>The file system's type as mounts name it.</summary>
    public const string Type = "btrfs";

    private const string Root = "/sys/fs/btrfs";

    /// <summary>Whether a device belongs to a mounted btrfs.</summary>
    public static bool Hold(DeviceNumber device) => FindFolder(device) is not null;

    /// <summary>Refuses a device that is not all of its mounted btrfs: a freeze holds all of it, but only one device would be imaged.</summary>
    /// <exception cref="QuenchException">SNAP-182: it is one of several.</exception>
    public static void DemandSingle(DeviceNumber device, string path)
    {
        if (FindFolder(device) is { } folder)
        {
            int count = Math.Max(Count(folder + "/devices"), Count(folder + "/devinfo"));
            if (count > 1)
            {
                throw DiskPlace.Untrackable(path, $"the btrfs file system on it lies on {count} devices, which can't be imaged as one volume here");
            }
        }
    }

    private static string? FindFolder(DeviceNumber device)
    {
        if (!Directory.Exists(Root) || !Directory.Exists($"/sys/dev/block/{device}"))
        {
            return null;
        }

        string name = Path.GetFileName(BlockDevice.FolderOf(device));
        return Directory.EnumerateDirectories(Root).FirstOrDefault(folder => Path.Exists($"{folder}/devices/{name}"));
    }

    private static int Count(string folder) => Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder).Count() : 0;
}
