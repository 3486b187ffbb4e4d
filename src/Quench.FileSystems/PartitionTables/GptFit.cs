using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

/// <summary>A GUID partition table for a disk of another size: the backup goes to its end, and all between is usable. (UEFI 2.10, §5.3.2)</summary>
/// <param name="table">As it was; not in doubt.</param>
/// <param name="sectors">Of the disk to be.</param>
/// <param name="grown">The last partition, if it grows.</param>
internal sealed class GptFit(PartitionTable table, long sectors, Partition? grown)
{
    private readonly GptCopy _old = table.Bytes.Gpt!;
    private readonly int _sectorSize = table.SectorSize;

    public TableFit Make()
    {
        byte[] array = [.. _old.Array];
        if (grown is not null)
        {
            int size = _old.Header.EntrySize;
            GptEntry.SetLast(array.AsSpan((grown.Number - 1) * size, size), (grown.Extent.End / _sectorSize) - 1);
        }

        long backup = sectors - 1;
        long backupArray = backup - _old.Header.ArraySectors(_sectorSize);
        long primaryArray = _old.Header.Lba == 1 ? _old.Header.ArrayLba : 2;
        GptHeader primary = _old.Header with
        {
            Lba = 1, OtherLba = backup, LastUsable = backupArray - 1, ArrayLba = primaryArray, ArrayCrc = Crc32.Of(array),
        };
        (long, byte[])[] writes =
        [
            (0, BootRecordFor(sectors)),
            (_sectorSize, HeaderSector(primary)),
            (primaryArray * _sectorSize, array),
            (backupArray * _sectorSize, array),
            (backup * _sectorSize, HeaderSector(primary with { Lba = backup, OtherLba = 1, ArrayLba = backupArray })),
        ];
        Extent disk = new(0, sectors * _sectorSize);
        IEnumerable<Extent> clears = table.Bytes.Backup
            .Select(extent => extent.Intersect(disk))
            .Where(extent => !extent.IsEmpty && !table.Partitions.Any(partition => partition.Extent.Overlaps(extent)));
        return new TableFit(writes, [.. clears], grown);
    }

    private byte[] HeaderSector(GptHeader header)
    {
        byte[] sector = [.. _old.HeaderSector];
        header.Write(sector);
        return sector;
    }

    /// <summary>The protective entry covers the disk; in a hybrid boot record, where it covers less, it stays as it is. (§5.2.3)</summary>
    private byte[] BootRecordFor(long newSectors)
    {
        byte[] record = [.. table.Bytes.BootRecord];
        int index = new BootRecord(record).ProtectiveEntry();
        if (index >= 0 && new BootRecord(record)[index] is { First: 1 } entry && IsWholeDisk(entry.Count))
        {
            BootRecordEntry.Resize(record.AsSpan(BootRecord.Place(index), BootRecordEntry.Size), (uint)Math.Min(newSectors - 1, uint.MaxValue), 1);
        }

        return record;
    }

    /// <summary>Up to the end of the disk, or of the one that it was made on before it was copied here; or as many as can be said.</summary>
    private bool IsWholeDisk(uint count) => count == uint.MaxValue || count == (table.DiskLength / _sectorSize) - 1 || count == _old.Header.OtherLba;
}
