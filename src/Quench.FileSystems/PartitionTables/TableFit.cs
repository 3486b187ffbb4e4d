using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

/// <summary>What must be written so that a table fits a disk of another size. Offsets are of the new disk.</summary>
/// <param name="Writes">Bytes and where they belong, in no order, none over another.</param>
/// <param name="Clears">Where the old backup lay, inside the new disk: zeros, before the writes.</param>
/// <param name="Grown">The last partition as it becomes; null when none grows.</param>
public sealed record TableFit(IReadOnlyList<(long Offset, byte[] Bytes)> Writes, IReadOnlyList<Extent> Clears, Partition? Grown)
{
    private const long Alignment = 1 << 20; // where a partition that grows ends: as partitioning programs align

    /// <summary>Fits a table to a disk.</summary>
    /// <param name="table">From the disk as it was.</param>
    /// <param name="newLength">Bytes of the disk to be.</param>
    /// <param name="growLast">Let the partition that lies last take the room behind it.</param>
    /// <param name="fit">What to write.</param>
    /// <param name="why">Why it can't be: a phrase.</param>
    /// <returns>False when it can't be.</returns>
    public static bool TryMake(PartitionTable table, long newLength, bool growLast, out TableFit fit, out string why)
    {
        ArgumentNullException.ThrowIfNull(table);
        fit = new TableFit([], [], null);
        why = "";
        if (newLength == table.DiskLength && !growLast)
        {
            return true;
        }

        if (table.Doubt is { } doubt)
        {
            why = $"its partition table can't be trusted: {doubt}";
            return newLength > table.DiskLength && !growLast; // onto a larger disk it goes as it is
        }

        long sectors = newLength / table.SectorSize;
        long end = table.Scheme == PartitionScheme.Gpt
            ? sectors - 1 - table.Bytes.Gpt!.Header.ArraySectors(table.SectorSize)
            : Math.Min(sectors, uint.MaxValue);
        Partition? last = table.Partitions.MaxBy(partition => partition.Extent.End);
        long needed = Math.Max(last?.Extent.End ?? 0, table.Extended?.End ?? 0);
        if (needed > end * table.SectorSize)
        {
            string what = last is null || table.Extended?.End > last.Extent.End ? "its extended partition" : $"partition {last.Number}";
            why = $"{what} ends at byte {needed}, and on a disk of {newLength} bytes partitions end at byte {Math.Max(0, end) * table.SectorSize} at the latest";
            return false;
        }

        bool isFree = last is not null && (last.IsLogical || table.Extended is not { } container || container.End <= last.Extent.Offset);
        Partition? grown = growLast && isFree ? Grow(last!, end * table.SectorSize) : null;
        fit = table.Scheme == PartitionScheme.Gpt ? new GptFit(table, sectors, grown).Make() : new MbrFit(table, grown).Make();
        return true;
    }

    /// <summary>The partition with the room behind it; null when there is none to speak of.</summary>
    private static Partition? Grow(Partition last, long end)
    {
        long aligned = end / Alignment * Alignment;
        return aligned > last.Extent.End ? last with { Extent = Extent.FromTo(last.Extent.Offset, aligned) } : null;
    }
}
