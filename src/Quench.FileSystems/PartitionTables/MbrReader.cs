using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

// Logical partitions hang on a chain inside the extended one. Each link is a boot record of its own. (UEFI 2.10, §5.2; the chain itself is a convention)
//
//     extended   ├ record │ data of 5 ──┤├ record │ data of 6 ──┤
//                  │  │ entry: its data, counted from this record
//                  └──┴ link: the next record, counted from the start of the extended partition

/// <summary>Reads a master boot record and follows its chain of logical partitions.</summary>
/// <param name="disk">Only read.</param>
/// <param name="sectorSize">Bytes of the sectors that it counts in.</param>
internal sealed class MbrReader(IBlockReader disk, int sectorSize)
{
    private const int FirstLogical = 5;
    private const int MostLogical = 256; // Linux has no numbers for more

    private readonly long _sectors = disk.Geometry.Length / sectorSize;
    private readonly List<Partition> _partitions = [];
    private readonly List<ExtendedBootRecord> _chain = [];
    private readonly List<string> _doubts = [];

    /// <summary>Reads the table of a boot record that <see cref="BootRecord.IsTable"/>.</summary>
    public async ValueTask<PartitionTable> ReadAsync(byte[] bootRecord, CancellationToken cancellationToken)
    {
        string id = $"{new BootRecord(bootRecord).DiskId:x8}";
        (long First, long Count)? extended = ReadPrimary(bootRecord, id);
        if (extended is var (first, count))
        {
            await FollowAsync(first, count, id, cancellationToken);
        }

        if (PartitionOverlap.Find(_partitions) is { } overlap)
        {
            _doubts.Add(overlap);
        }

        Extent? container = extended is null ? null : ExtentOf(extended.Value.First, extended.Value.Count);
        if (container is { } whole && _partitions.FirstOrDefault(partition => !partition.IsLogical && partition.Extent.Overlaps(whole)) is { } inside)
        {
            _doubts.Add($"partition {inside.Number} overlaps the extended partition");
        }

        Extent[] records = [.. _chain.Select(record => ExtentOf(record.Lba, 1))];
        if (_partitions.FirstOrDefault(partition => records.Any(partition.Extent.Overlaps)) is { } over)
        {
            _doubts.Add($"partition {over.Number} lies over an extended boot record");
        }

        return new PartitionTable
        {
            Scheme = PartitionScheme.Mbr,
            Id = id,
            SectorSize = sectorSize,
            DiskLength = disk.Geometry.Length,
            Partitions = _partitions,
            Sectors = [new Extent(0, sectorSize), .. records],
            Extended = container,
            Doubt = _doubts.FirstOrDefault(),
            Bytes = new TableBytes(bootRecord) { Chain = _chain },
        };
    }

    /// <summary>The four entries of the disk's own boot record.</summary>
    /// <returns>The extended partition, if there is one.</returns>
    private (long First, long Count)? ReadPrimary(byte[] bootRecord, string id)
    {
        BootRecord record = new(bootRecord);
        (long First, long Count)? extended = null;
        for (int index = 0; index < BootRecord.EntryCount; index++)
        {
            BootRecordEntry entry = record[index];
            if (entry.IsEmpty)
            {
                continue;
            }

            if ((long)entry.First + entry.Count > _sectors)
            {
                _doubts.Add($"partition {index + 1} ends beyond the end of the disk");
            }
            else if (!entry.IsExtended)
            {
                Add(index + 1, entry, entry.First, id, isLogical: false);
            }
            else if (extended is null)
            {
                extended = (entry.First, entry.Count);
            }
            else
            {
                _doubts.Add("there are two extended partitions");
            }
        }

        return extended;
    }

    private async ValueTask FollowAsync(long first, long count, string id, CancellationToken cancellationToken)
    {
        HashSet<long> seen = [];
        byte[] sector = new byte[BootRecord.Size];
        for (long? at = first; at is { } lba;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            bool isNew = seen.Add(lba);
            if (!isNew || _chain.Count == MostLogical || !await VolumeBytes.TryReadAsync(disk, lba * sectorSize, sector, cancellationToken) || !new BootRecord(sector).HasMark)
            {
                _doubts.Add(!isNew ? "the chain of logical partitions leads back to itself"
                    : _chain.Count == MostLogical ? $"the chain of logical partitions has more than {MostLogical} links"
                    : $"the chain of logical partitions leads to sector {lba}, which is no boot record");
                return;
            }

            at = ReadLink(sector, lba, first, count, id);
        }
    }

    /// <summary>One link of the chain: a partition, and where it goes on.</summary>
    private long? ReadLink(byte[] sector, long lba, long first, long count, string id)
    {
        BootRecord record = new(sector);
        long? next = null;
        int number = 0;
        for (int index = 0; index < BootRecord.EntryCount; index++)
        {
            BootRecordEntry entry = record[index];
            if (entry.IsEmpty)
            {
                continue;
            }

            long start = entry.IsExtended ? first + entry.First : lba + entry.First;
            bool isTwice = entry.IsExtended ? next is not null : number != 0;
            if (isTwice || start <= first || start >= first + count || (!entry.IsExtended && start + entry.Count > first + count))
            {
                _doubts.Add(isTwice ? $"the extended boot record at sector {lba} has too many entries" : "the chain of logical partitions leaves the extended partition");
                return null;
            }

            if (entry.IsExtended)
            {
                next = start;
            }
            else
            {
                number = FirstLogical + _partitions.Count(partition => partition.IsLogical);
                Add(number, entry, start, id, isLogical: true);
            }
        }

        _chain.Add(new ExtendedBootRecord(lba, [.. sector], number));
        return next;
    }

    private void Add(int number, BootRecordEntry entry, long start, string id, bool isLogical) => _partitions.Add(
        new Partition(number, ExtentOf(start, entry.Count), $"0x{entry.Type:x2}")
        {
            Id = $"{id}-{number:x2}",
            IsActive = entry.Status == BootRecordEntry.Active,
            IsLogical = isLogical,
        });

    private Extent ExtentOf(long lba, long count) => new(lba * sectorSize, count * sectorSize);
}
