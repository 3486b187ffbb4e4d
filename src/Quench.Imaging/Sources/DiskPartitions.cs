using Quench.Blocks.Devices;
using Quench.FileSystems.PartitionTables;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Imaging.Sources;

/// <summary>The partitions of a disk that is attached whole.</summary>
public static class DiskPartitions
{
    /// <summary>Makes the partitions of an attached disk devices of their own, which can be mounted.</summary>
    /// <returns>How many; 0 when it is no disk with partitions, or its table can't be trusted.</returns>
    /// <exception cref="IOException">The device can't be read, or the kernel refuses.</exception>
    public static async Task<int> ShowAsync(AttachedVolume volume, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(volume);
        await using Disk device = Disk.Open(volume.Device, DeviceAccess.Read, exclusive: false);
        return await PartitionTableReader.TryReadAsync(device, device.Geometry.SectorSize, cancellationToken) is { Doubt: null, Partitions: { Count: > 0 } partitions }
            ? FilterAttachment.ShowPartitions(volume, partitions.Select(partition => (partition.Number, partition.Extent)))
            : 0;
    }
}
