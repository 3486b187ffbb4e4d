using System.Globalization;
using Quench.Blocks;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>Where a device lies as the block layer sees it: a disk of its own, or a part of one. Read from sysfs, so never older than the question.</summary>
/// <param name="Device">The device's number.</param>
/// <param name="Disk">The whole disk's number; the same for a whole disk.</param>
/// <param name="Start">Where on the disk it begins, in bytes.</param>
/// <param name="Length">Its bytes.</param>
/// <param name="Sequence">The disk's sequence number, another one for another medium; empty on kernels before 5.15.</param>
internal sealed record DiskPlace(DeviceNumber Device, DeviceNumber Disk, long Start, long Length, string Sequence)
{
    private const int SectorBytes = 512;

    /// <summary>Looks at a device.</summary>
    /// <exception cref="QuenchException">SNAP-182: not a device whose writes can be tracked.</exception>
    public static DiskPlace Of(string device)
    {
        if (NativeFile.TryGetStatus(device) is not { Kind: FileKind.BlockDevice } status)
        {
            throw Untrackable(device, "it is not a block device");
        }

        return Of(status.SpecialDevice);
    }

    /// <summary>Looks at a device by its number.</summary>
    /// <exception cref="FileNotFoundException">The kernel knows no such device.</exception>
    public static DiskPlace Of(DeviceNumber device)
    {
        string folder = BlockDevice.FolderOf(device);
        bool isPartition = File.Exists(folder + "/partition");
        string disk = isPartition ? Path.GetDirectoryName(folder)! : folder;
        return new DiskPlace(
            device,
            isPartition ? Number(Text(disk + "/dev")) : device,
            isPartition ? Sectors(folder + "/start") : 0,
            Sectors(folder + "/size"),
            File.Exists(disk + "/diskseq") ? Text(disk + "/diskseq") : "");
    }

    /// <summary>The partitions of a disk, as the kernel has them.</summary>
    public static IEnumerable<DeviceNumber> PartitionsOf(DeviceNumber disk) =>
        Directory.EnumerateDirectories(BlockDevice.FolderOf(disk)).Where(folder => File.Exists(folder + "/partition")).Select(folder => Number(Text(folder + "/dev")));

    /// <summary>
    /// Refuses what the tracker can't vouch for: devices that pass bios on without making requests (dm, md: their completion is not heard), and memory that
    /// file systems write past the block layer.
    /// </summary>
    /// <exception cref="QuenchException">SNAP-182: one of those.</exception>
    public void DemandTrackable(string device)
    {
        string disk = BlockDevice.FolderOf(Disk);
        if (!Directory.Exists(disk + "/mq"))
        {
            throw Untrackable(device, "it passes requests on to other devices (LVM, device mapper, RAID), and the kernel does not tell when they have landed");
        }

        if (File.Exists(disk + "/queue/dax") && Text(disk + "/queue/dax") != "0")
        {
            throw Untrackable(device, "it is memory that file systems may write without a request (DAX)");
        }
    }

    /// <summary>The file below, of a loop device; null of anything else.</summary>
    public string? BackingFile
    {
        get
        {
            string file = BlockDevice.FolderOf(Disk) + "/loop/backing_file";
            return File.Exists(file) ? Text(file) : null;
        }
    }

    /// <summary>Writes that were submitted and have not landed yet, by the kernel's own count.</summary>
    public long CountWritesInFlight() => CountWritesInFlight(Device);

    /// <summary>The same of the whole disk.</summary>
    public long CountWritesInFlightOnDisk() => CountWritesInFlight(Disk);

    private static long CountWritesInFlight(DeviceNumber device) =>
        long.Parse(Text(BlockDevice.FolderOf(device) + "/inflight").Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    /// <summary>
    /// Bytes of the whole disk that were written, discarded or zeroed since it is there, by the kernel's own statistics: they are counted where requests end, by the block layer itself, whoever listens
    /// there. They stand still when they are turned off for the disk (queue/iostats). (Documentation/block/stat.rst)
    /// </summary>
    public long CountWrittenBytes()
    {
        const int WriteSectors = 6;
        const int DiscardSectors = 13;
        string[] fields = Text(BlockDevice.FolderOf(Disk) + "/stat").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return SectorBytes * (Field(WriteSectors) + Field(DiscardSectors));

        long Field(int place) => place < fields.Length ? long.Parse(fields[place], CultureInfo.InvariantCulture) : 0;
    }

    private static DeviceNumber Number(string text)
    {
        string[] numbers = text.Split(':');
        return new DeviceNumber(uint.Parse(numbers[0], CultureInfo.InvariantCulture), uint.Parse(numbers[1], CultureInfo.InvariantCulture));
    }

    private static long Sectors(string path) => checked(long.Parse(Text(path), CultureInfo.InvariantCulture) * SectorBytes);

    private static string Text(string path) => File.ReadAllText(path).Trim();

    /// <summary>The refusal of a device.</summary>
    internal static QuenchException Untrackable(string device, string why) =>
        new("SNAP-182", $"writes to {device} can't be tracked: {why}", "attach the volume through Quench (`quench attach`), or image it at rest")
        {
            Effect = "nothing was read or written",
            ExitCode = 11,
        };
}
