using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Cold;

/// <summary>
/// Finds out who uses a device or an image file: mounts, swap, loop devices, devices stacked on it, its partitions, and locks that
/// other programs hold. It only looks. What it can't see (a program that merely has the device open) the exclusive open of
/// <see cref="ColdProvider"/> finds for devices, and nothing finds for files.
/// </summary>
public static class PathInspector
{
    /// <summary>How the use of a disk begins that is used through a partition.</summary>
    public const string PartitionInUse = "its partition ";

    /// <summary>How the use of a device begins that a mapping, a logical volume or an array lies on.</summary>
    public const string PartOf = "part of ";

    /// <summary>Looks at a path.</summary>
    public static PathUse Inspect(string path)
    {
        string full = Path.GetFullPath(path);
        FileStatus? status = NativeFile.TryGetStatus(full);
        return status?.Kind switch
        {
            null => new PathUse(full, PathKind.Missing, 0, []),
            FileKind.BlockDevice => InspectDevice(full, status.Value.SpecialDevice),
            FileKind.Regular => new PathUse(full, PathKind.File, status.Value.Length, [.. UsersOfFile(status.Value).Distinct()]),
            FileKind.Directory => new PathUse(full, PathKind.Directory, 0, []),
            _ => new PathUse(full, PathKind.Other, 0, []),
        };
    }

    /// <summary>Whether two paths name the same device or the same file.</summary>
    public static bool AreSame(string one, string other)
    {
        if (NativeFile.TryGetStatus(one) is not { } left || NativeFile.TryGetStatus(other) is not { } right)
        {
            return false;
        }

        return left.Kind == FileKind.BlockDevice && right.Kind == FileKind.BlockDevice
            ? left.SpecialDevice == right.SpecialDevice
            : IsSameFile(left, right);
    }

    /// <summary>Whether a path names a partition of the disk that another path names.</summary>
    public static bool IsPartitionOf(string path, string disk) =>
        NativeFile.TryGetStatus(path) is { Kind: FileKind.BlockDevice } part && NativeFile.TryGetStatus(disk) is { Kind: FileKind.BlockDevice } whole
        && File.Exists($"/sys/dev/block/{part.SpecialDevice}/partition")
        && Path.GetDirectoryName(BlockDevice.FolderOf(part.SpecialDevice)) == BlockDevice.FolderOf(whole.SpecialDevice);

    /// <summary>The device or other source that is mounted at a directory; null when it is no mount point.</summary>
    public static string? FindMountSource(string directory)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
        return Mounts.Read().LastOrDefault(mount => mount.MountPoint == full)?.Source;
    }

    private static PathUse InspectDevice(string path, DeviceNumber number)
    {
        string sysfs = $"/sys/dev/block/{number}";
        long length = File.Exists(sysfs + "/size") ? long.Parse(File.ReadAllText(sysfs + "/size")) * 512 : LengthOf(path);
        return new PathUse(path, PathKind.BlockDevice, length, [.. UsersOfDevice(path, number).Distinct()])
        {
            SectorSize = File.Exists(sysfs + "/size") ? SectorOf(number) : null,
            PartitionStart = File.Exists(sysfs + "/partition") ? long.Parse(File.ReadAllText(sysfs + "/start"), CultureInfo.InvariantCulture) * 512 : null,
        };
    }

    /// <summary>A partition has the sectors of its disk, and sysfs shows them there.</summary>
    private static int? SectorOf(DeviceNumber number)
    {
        string folder = BlockDevice.FolderOf(number);
        string disk = File.Exists(folder + "/partition") ? Path.GetDirectoryName(folder)! : folder;
        string size = disk + "/queue/logical_block_size";
        return File.Exists(size) ? int.Parse(File.ReadAllText(size), CultureInfo.InvariantCulture) : null;
    }

    private static long LengthOf(string path)
    {
        using SafeFileHandle device = NativeFile.Open(path, OpenMode.ReadOnly | OpenMode.NonBlocking);
        return BlockDevice.GetLength(device);
    }

    private static IEnumerable<string> UsersOfDevice(string path, DeviceNumber number)
    {
        foreach (MountEntry mount in Mounts.Read().Where(mount => mount.Device == number || AreSame(mount.Source, path)))
        {
            yield return $"mounted at {mount.MountPoint}";
        }

        if (SwapAreas().Any(area => AreSame(area, path)))
        {
            yield return "swap space";
        }

        string sysfs = $"/sys/dev/block/{number}";
        foreach (string holder in Names(sysfs + "/holders"))
        {
            yield return TryReadLine($"{sysfs}/holders/{holder}/dm/name") is { } mapping ? $"{PartOf}/dev/mapper/{mapping}" : $"{PartOf}/dev/{holder}";
        }

        foreach (string partition in Names(sysfs).Where(name => File.Exists($"{sysfs}/{name}/partition")))
        {
            foreach (string use in Inspect("/dev/" + partition).Users)
            {
                yield return $"{PartitionInUse}/dev/{partition} is {use}";
            }
        }
    }

    private static IEnumerable<string> UsersOfFile(FileStatus file)
    {
        foreach (string name in Names("/sys/block").Where(name => name.StartsWith("loop", StringComparison.Ordinal)))
        {
            string backing = $"/sys/block/{name}/loop/backing_file";
            if (TryReadLine(backing) is { } target && NativeFile.TryGetStatus(target) is { } other && IsSameFile(other, file))
            {
                yield return $"attached to /dev/{name}";
            }
        }

        if (SwapAreas().Any(area => NativeFile.TryGetStatus(area) is { } other && IsSameFile(other, file)))
        {
            yield return "swap space";
        }

        if (LockHolder(file) is { } process)
        {
            yield return $"locked by process {process}";
        }
    }

    /// <summary>The process that locks a file, from lines such as "1: OFDLCK ADVISORY WRITE 4711 fe:00:131073 100 200". (proc(5), /proc/locks)</summary>
    private static string? LockHolder(FileStatus file)
    {
        string identity = $"{file.Device.Major:x2}:{file.Device.Minor:x2}:{file.Inode}";
        foreach (string line in File.ReadLines("/proc/locks"))
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > 5 && fields[3] == "WRITE" && fields[5] == identity)
            {
                return fields[4];
            }
        }

        return null;
    }

    private static IEnumerable<string> SwapAreas() =>
        File.Exists("/proc/swaps") ? File.ReadLines("/proc/swaps").Skip(1).Select(line => line.Split(' ', 2)[0]) : [];

    private static IEnumerable<string> Names(string directory) =>
        Directory.Exists(directory) ? Directory.EnumerateFileSystemEntries(directory).Select(entry => Path.GetFileName(entry)) : [];

    private static string? TryReadLine(string path)
    {
        try
        {
            return File.Exists(path) ? File.ReadAllText(path).TrimEnd('\n') : null;
        }
        catch (IOException)
        {
            return null; // detached between the two looks
        }
    }

    private static bool IsSameFile(FileStatus one, FileStatus other) => one.Device == other.Device && one.Inode == other.Inode;
}
