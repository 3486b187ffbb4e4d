using System.Globalization;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots;

/// <summary>A partition of a disk that somebody uses.</summary>
/// <param name="Extent">Where it lies on the disk.</param>
/// <param name="MountPoint">Where it is mounted; null when something else holds it, such as a volume group.</param>
/// <param name="FileSystem">The file system that is mounted; empty when none is.</param>
public sealed record PartInUse(Extent Extent, string? MountPoint, string FileSystem)
{
    private const long Unit = 512; // sysfs counts in these, whatever the sector

    private static readonly HashSet<string> s_freezable = ["ext2", "ext3", "ext4", "xfs", "btrfs"];

    /// <summary>Whether its writers were held at the instant.</summary>
    public bool IsFrozen { get; init; }

    /// <summary>Whether its file system is one that can be frozen.</summary>
    public bool CanFreeze => MountPoint is not null && s_freezable.Contains(FileSystem);

    /// <summary>The partitions of a disk that are in use now, as the kernel sees them.</summary>
    /// <param name="device">The disk.</param>
    public static IReadOnlyList<PartInUse> Of(string device)
    {
        if (NativeFile.TryGetStatus(device) is not { Kind: FileKind.BlockDevice } status || !Directory.Exists($"/sys/dev/block/{status.SpecialDevice}"))
        {
            return [];
        }

        IReadOnlyList<MountEntry> mounts = Mounts.Read();
        return [.. Directory.EnumerateDirectories(BlockDevice.FolderOf(status.SpecialDevice))
            .Where(folder => File.Exists(folder + "/partition"))
            .Select(folder => TryRead(folder, mounts))
            .OfType<PartInUse>()
            .OrderBy(part => part.Extent.Offset)];
    }

    private static PartInUse? TryRead(string folder, IReadOnlyList<MountEntry> mounts)
    {
        string[] numbers = File.ReadAllText(folder + "/dev").Trim().Split(':');
        DeviceNumber number = new(uint.Parse(numbers[0], CultureInfo.InvariantCulture), uint.Parse(numbers[1], CultureInfo.InvariantCulture));
        string node = "/dev/" + Path.GetFileName(folder);
        Extent extent = new(Number(folder + "/start") * Unit, Number(folder + "/size") * Unit);
        return mounts.FirstOrDefault(mount => mount.Device == number || mount.Source == node) is { } mount ? new PartInUse(extent, mount.MountPoint, mount.Type)
            : Directory.Exists(folder + "/holders") && Directory.EnumerateFileSystemEntries(folder + "/holders").Any() ? new PartInUse(extent, null, "")
            : null;
    }

    private static long Number(string file) => long.Parse(File.ReadAllText(file), CultureInfo.InvariantCulture);
}
