using System.Globalization;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Snapshots.Writes;

/// <summary>A device whose writes can be watched: a disk or a part of one, mounted or not.</summary>
public sealed class WatchedVolume
{
    private const int MostNumbers = 64; // each is a comparison in the programs

    private readonly DiskPlace _place;

    private WatchedVolume(string device, DiskPlace place, IReadOnlyList<MountEntry> mounts)
    {
        _place = place;
        Device = device;
        MountEntry? mount = mounts.FirstOrDefault(mount => TrackedProvider.DeviceOf(mount) == place.Device);
        MountPoint = mount?.MountPoint;
        FileSystem = mount?.Type;
    }

    /// <summary>The device's path.</summary>
    public string Device { get; }

    /// <summary>Its bytes.</summary>
    public long Length => _place.Length;

    /// <summary>One of the places where it is mounted; null when it is not.</summary>
    public string? MountPoint { get; }

    /// <summary>The type of the file system that is mounted from it; null when none is.</summary>
    public string? FileSystem { get; }

    /// <summary>Finds the volume that a word means: a device, a place where one is mounted, the name of an attached volume.</summary>
    /// <exception cref="QuenchException">ACT-101: there is none.</exception>
    public static WatchedVolume Find(string name)
    {
        IReadOnlyList<MountEntry> mounts = Mounts.Read();
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(name));
        if (NativeFile.TryGetStatus(full) is { Kind: FileKind.BlockDevice } status)
        {
            return new WatchedVolume(full, DiskPlace.Of(status.SpecialDevice), mounts);
        }

        if (mounts.LastOrDefault(mount => mount.MountPoint == full) is { } mount && TrackedProvider.DeviceOf(mount) is { } number && Directory.Exists($"/sys/dev/block/{number}"))
        {
            return new WatchedVolume("/dev/" + Path.GetFileName(BlockDevice.FolderOf(number)), DiskPlace.Of(number), mounts);
        }

        if (FilterVolumes.List().FirstOrDefault(volume => volume.Name == name) is { } attached && NativeFile.TryGetStatus(attached.Device) is { Kind: FileKind.BlockDevice } device)
        {
            return new WatchedVolume(attached.Device, DiskPlace.Of(device.SpecialDevice), mounts);
        }

        throw new QuenchException("ACT-101", $"{name} is no block device, nor a place where one is mounted, nor an attached volume", "name one; `lsblk` lists block devices and where they are mounted")
        {
            Effect = "nothing was touched",
        };
    }

    /// <summary>What the programs have to compare with, as it is now.</summary>
    internal WriteTarget ToTarget()
    {
        bool isWholeDisk = _place.Device == _place.Disk;
        DeviceNumber[] parts = [_place.Device, .. isWholeDisk ? Partitions() : [_place.Disk]];
        uint[] devices = [.. parts.Select(Word)];

        // A file system on one device has that device's number, so one that is mounted later is known already; btrfs has numbers of its own.
        IEnumerable<uint> mounted = Mounts.Read().Where(mount => TrackedProvider.DeviceOf(mount) is { } device && devices.Contains(Word(device))).Select(mount => Word(mount.Device));
        IEnumerable<uint> fileSystems = (isWholeDisk ? devices : devices.Take(1)).Concat(mounted).Distinct();
        return new WriteTarget(TrackerTarget.Of(_place, 1), Word(_place.Device), isWholeDisk, [.. fileSystems.Take(MostNumbers)], [.. devices.Take(MostNumbers)]);
    }

    /// <summary>A device's number as the kernel keeps it: 12 bits and 20. (linux/kdev_t.h)</summary>
    private static uint Word(DeviceNumber device) => (device.Major << 20) | device.Minor;

    private IEnumerable<DeviceNumber> Partitions() => Directory
        .EnumerateDirectories(BlockDevice.FolderOf(_place.Device))
        .Where(folder => File.Exists(folder + "/partition"))
        .Select(folder => File.ReadAllText(folder + "/dev").Trim().Split(':'))
        .Select(numbers => new DeviceNumber(uint.Parse(numbers[0], CultureInfo.InvariantCulture), uint.Parse(numbers[1], CultureInfo.InvariantCulture)));
}
