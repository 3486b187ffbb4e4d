using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

/// <summary>Finds out how a disk is divided.</summary>
public static class PartitionTableReader
{
    private const int LargeSector = 4096;
    private const int LeastSectors = 3;

    /// <summary>Reads the table of a disk.</summary>
    /// <param name="disk">Only read.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <returns>
    /// Null when there is none. One that can't be trusted has its <see cref="PartitionTable.Doubt"/> set; its partitions are then what could be made out, and may leave the disk.
    /// A boot record says nothing about the size of the sectors that it counts in: here it is read in sectors of 512 bytes.
    /// </returns>
    /// <exception cref="IOException">The medium failed.</exception>
    public static ValueTask<PartitionTable?> TryReadAsync(IBlockReader disk, CancellationToken cancellationToken) => TryReadAsync(disk, BootRecord.Size, cancellationToken);

    /// <summary>Reads the table of a disk whose sectors are known.</summary>
    /// <param name="disk">Only read.</param>
    /// <param name="sectorSize">Bytes of the sectors that a boot record counts in, 512 or 4096; a GUID partition table says so itself.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="IOException">The medium failed.</exception>
    public static async ValueTask<PartitionTable?> TryReadAsync(IBlockReader disk, int sectorSize, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(disk);
        byte[] bootRecord = new byte[BootRecord.Size];
        if (disk.Geometry.Length < LeastSectors * BootRecord.Size)
        {
            return null;
        }

        await VolumeBytes.ReadAsync(disk, 0, bootRecord, cancellationToken);
        PartitionTable? small = await new GptReader(disk, BootRecord.Size).TryReadAsync(bootRecord, cancellationToken);
        PartitionTable? large = await new GptReader(disk, LargeSector).TryReadAsync(bootRecord, cancellationToken);
        PartitionTable? gpt = small is null || (large is not null && !HasFirstCopy(small) && HasFirstCopy(large)) ? large : small;
        if (small is not null && large is not null && HasFirstCopy(small) == HasFirstCopy(large))
        {
            return gpt! with { Doubt = "the disk carries one table in sectors of 512 bytes and another one in sectors of 4096" };
        }

        return (gpt is null ? null : await JudgeAsync(disk, gpt, bootRecord, cancellationToken))
            ?? (sectorSize == LargeSector && new BootRecord(bootRecord).ProtectiveEntry() < 0
                ? await TryReadInLargeSectorsAsync(disk, bootRecord, cancellationToken)
                : await TryReadBootRecordAsync(disk, bootRecord, cancellationToken));
    }

    /// <summary>Reads the table of a boot record as if it counted in sectors of 4096 bytes, as on a disk that has no smaller ones.</summary>
    /// <returns>Null when it is none, or when its partitions would not fit the disk.</returns>
    internal static async ValueTask<PartitionTable?> TryReadInLargeSectorsAsync(IBlockReader disk, byte[] bootRecord, CancellationToken cancellationToken)
    {
        if (!new BootRecord(bootRecord).IsTable(disk.Geometry.Length / LargeSector))
        {
            return null;
        }

        PartitionTable table = await new MbrReader(disk, LargeSector).ReadAsync(bootRecord, cancellationToken);
        return table.Doubt is null ? table : null;
    }

    /// <summary>Of a table that has been replaced the backup often stays at the end of the disk; nobody looks for it there while the start of the disk says something else.</summary>
    private static bool HasFirstCopy(PartitionTable gpt) => gpt.Bytes.Gpt!.Header.Lba == 1;

    /// <summary>A GUID partition table counts only behind a boot record that guards it. (§5.2.3)</summary>
    /// <returns>Null when only the remains of one are there.</returns>
    private static async ValueTask<PartitionTable?> JudgeAsync(IBlockReader disk, PartitionTable gpt, byte[] bootRecord, CancellationToken cancellationToken)
    {
        BootRecord record = new(bootRecord);
        return record.ProtectiveEntry() >= 0 ? gpt
            : !HasFirstCopy(gpt) ? null
            : !record.IsTable(disk.Geometry.Length / BootRecord.Size) ? gpt with { Doubt = gpt.Doubt ?? "no protective boot record stands before the table" }
            : (await new MbrReader(disk, BootRecord.Size).ReadAsync(bootRecord, cancellationToken)) with { Doubt = "a GUID partition table stands behind a boot record that does not guard it" };
    }

    private static async ValueTask<PartitionTable?> TryReadBootRecordAsync(IBlockReader disk, byte[] bootRecord, CancellationToken cancellationToken)
    {
        BootRecord record = new(bootRecord);
        return record.ProtectiveEntry() >= 0
            ? Unreadable(disk, bootRecord)
            : record.IsTable(disk.Geometry.Length / BootRecord.Size)
                ? await new MbrReader(disk, BootRecord.Size).ReadAsync(bootRecord, cancellationToken)
                : null;
    }

    private static PartitionTable Unreadable(IBlockReader disk, byte[] bootRecord) => new()
    {
        Scheme = PartitionScheme.Gpt,
        Id = "",
        SectorSize = BootRecord.Size,
        DiskLength = disk.Geometry.Length,
        Partitions = [],
        Sectors = [new Extent(0, BootRecord.Size)],
        Doubt = "the boot record guards a GUID partition table of which neither copy is whole",
        Bytes = new TableBytes(bootRecord),
    };
}
