using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

/// <summary>Reads a GUID partition table: both copies, each with its checksums. (UEFI 2.10, §5.3)</summary>
/// <param name="disk">Only read.</param>
/// <param name="sectorSize">Bytes of the sectors that it is looked for in.</param>
internal sealed class GptReader(IBlockReader disk, int sectorSize)
{
    private readonly long _sectors = disk.Geometry.Length / sectorSize;

    /// <summary>Reads the table.</summary>
    /// <param name="bootRecord">The first 512 bytes of the disk.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <returns>Null when neither copy is there.</returns>
    public async ValueTask<PartitionTable?> TryReadAsync(byte[] bootRecord, CancellationToken cancellationToken)
    {
        GptCopy? primary = await TryReadCopyAsync(1, cancellationToken);
        GptCopy? backup = primary is null ? null : await TryReadCopyAsync(primary.Header.OtherLba, cancellationToken);
        backup ??= await TryReadCopyAsync(_sectors - 1, cancellationToken);
        if (primary is null && backup is null)
        {
            return null;
        }

        GptCopy believed = primary ?? backup!;
        (IReadOnlyList<Partition> partitions, string? wrong) = ReadEntries(believed);
        string? doubt = primary is null ? "the table at the start of the disk is damaged, and only its backup is whole"
            : backup is not null && !AreSame(primary, backup) ? "the table and its backup differ"
            : wrong;
        return new PartitionTable
        {
            Scheme = PartitionScheme.Gpt,
            Id = believed.Header.DiskId.ToString(),
            SectorSize = sectorSize,
            DiskLength = disk.Geometry.Length,
            Partitions = partitions,
            Sectors = [new Extent(0, sectorSize), .. SectorsOf(primary), .. SectorsOf(backup)],
            Doubt = doubt ?? PartitionOverlap.Find(partitions) ?? DoubtOfHybrid(bootRecord, partitions),
            Remarks = [.. Remarks(primary, backup)],
            Bytes = new TableBytes(bootRecord) { Gpt = believed, Backup = [.. SectorsOf(backup)] },
        };
    }

    private async ValueTask<GptCopy?> TryReadCopyAsync(long lba, CancellationToken cancellationToken)
    {
        byte[] sector = new byte[sectorSize];
        if (lba <= 0 || lba >= _sectors
            || !await VolumeBytes.TryReadAsync(disk, lba * sectorSize, sector, cancellationToken)
            || !GptHeader.TryRead(sector, lba, _sectors, out GptHeader header))
        {
            return null;
        }

        byte[] array = new byte[header.ArrayBytes];
        await VolumeBytes.ReadAsync(disk, header.ArrayLba * sectorSize, array, cancellationToken);
        return Crc32.Of(array) == header.ArrayCrc ? new GptCopy(header, sector, array) : null;
    }

    private (IReadOnlyList<Partition> Partitions, string? Wrong) ReadEntries(GptCopy copy)
    {
        List<Partition> partitions = [];
        string? wrong = null;
        for (int index = 0; index < copy.Header.EntryCount; index++)
        {
            GptEntry entry = new(copy.Array.AsSpan(index * copy.Header.EntrySize, copy.Header.EntrySize));
            if (entry.IsEmpty)
            {
                continue;
            }

            if (entry.ToPartition(index + 1, copy.Header.FirstUsable, copy.Header.LastUsable, sectorSize) is { } partition)
            {
                partitions.Add(partition);
            }
            else
            {
                wrong ??= $"partition {index + 1} leaves the sectors that the table has for partitions";
            }
        }

        return (partitions, wrong);
    }

    private IEnumerable<Extent> SectorsOf(GptCopy? copy) => copy is null
        ? []
        : [new Extent(copy.Header.Lba * sectorSize, sectorSize), new Extent(copy.Header.ArrayLba * sectorSize, copy.Header.ArraySectors(sectorSize) * sectorSize)];

    private IEnumerable<string> Remarks(GptCopy? primary, GptCopy? backup)
    {
        if (primary is not null && backup is null)
        {
            yield return "the backup of the table is missing or damaged";
        }

        if (backup is not null && backup.Header.Lba != _sectors - 1)
        {
            yield return "the backup of the table is not at the end of the disk";
        }
    }

    private static bool AreSame(GptCopy one, GptCopy other) => one.Header.DiskId == other.Header.DiskId && one.Array.AsSpan().SequenceEqual(other.Array);

    /// <summary>A hybrid boot record names some of the partitions a second time; one that names anything else contradicts the table.</summary>
    private string? DoubtOfHybrid(byte[] bootRecord, IReadOnlyList<Partition> partitions)
    {
        BootRecord record = new(bootRecord);
        for (int index = 0; index < BootRecord.EntryCount; index++)
        {
            BootRecordEntry entry = record[index];
            if (!entry.IsEmpty && entry.Type != BootRecordEntry.Protective
                && !partitions.Any(partition => partition.Extent == new Extent((long)entry.First * sectorSize, (long)entry.Count * sectorSize)))
            {
                return $"entry {index + 1} of the boot record is none of the partitions of the table";
            }
        }

        return null;
    }
}
