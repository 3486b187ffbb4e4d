namespace Quench.FileSystems.PartitionTables;

/// <summary>
/// A boot record for a disk of another size. It does not say how large the disk is, so it changes only when the last partition grows; with a logical one grow the link that
/// leads to it and the extended partition around it.
/// </summary>
/// <param name="table">As it was; not in doubt.</param>
/// <param name="grown">The last partition, if it grows.</param>
internal sealed class MbrFit(PartitionTable table, Partition? grown)
{
    private readonly int _sectorSize = table.SectorSize;

    public TableFit Make()
    {
        if (grown is null)
        {
            return new TableFit([], [], null);
        }

        byte[] record = [.. table.Bytes.BootRecord];
        List<(long, byte[])> writes = [(0, record)];
        if (!grown.IsLogical)
        {
            Resize(record, entry => !entry.IsExtended && entry.First == First(grown), 0);
            return new TableFit(writes, [], grown);
        }

        long extended = table.Extended!.Value.Offset / _sectorSize;
        Resize(record, entry => entry.IsExtended, 0);
        IReadOnlyList<ExtendedBootRecord> chain = table.Bytes.Chain;
        int link = 0;
        while (chain[link].Number != grown.Number)
        {
            link++;
        }

        writes.Add((chain[link].Lba * _sectorSize, Resized(chain[link], entry => !entry.IsExtended, chain[link].Lba)));
        if (link > 0)
        {
            writes.Add((chain[link - 1].Lba * _sectorSize, Resized(chain[link - 1], entry => entry.IsExtended, extended)));
        }

        return new TableFit(writes, [], grown);
    }

    private long First(Partition partition) => partition.Extent.Offset / _sectorSize;

    private byte[] Resized(ExtendedBootRecord link, Func<BootRecordEntry, bool> isIt, long countedFrom)
    {
        byte[] record = [.. link.Bytes];
        Resize(record, isIt, countedFrom);
        return record;
    }

    /// <summary>Lets an entry end where the grown partition ends.</summary>
    private void Resize(byte[] record, Func<BootRecordEntry, bool> isIt, long countedFrom)
    {
        for (int index = 0; index < BootRecord.EntryCount; index++)
        {
            BootRecordEntry entry = new BootRecord(record)[index];
            if (!entry.IsEmpty && isIt(entry))
            {
                long first = countedFrom + entry.First;
                BootRecordEntry.Resize(record.AsSpan(BootRecord.Place(index), BootRecordEntry.Size), (uint)((grown!.Extent.End / _sectorSize) - first), first);
            }
        }
    }
}
