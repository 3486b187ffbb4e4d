using Quench.Blocks;

namespace Quench.FileSystems.PartitionTables;

/// <summary>Which kind of table a disk has.</summary>
public enum PartitionScheme
{
    /// <summary>A master boot record, with or without logical partitions.</summary>
    Mbr,

    /// <summary>A GUID partition table.</summary>
    Gpt,
}

/// <summary>One partition, as the table tells it.</summary>
/// <param name="Number">As Linux counts them: 1 to 4 in a boot record, 5 and more for logical ones; in a GUID partition table the place in its array, from 1.</param>
/// <param name="Extent">Where it lies on the disk, in bytes.</param>
/// <param name="Type">Its type as the table has it: "0x83", or a GUID in lower case.</param>
public sealed record Partition(int Number, Extent Extent, string Type)
{
    /// <summary>What that type is usually called; empty when it is not known here.</summary>
    public string TypeName => PartitionTypes.NameOf(Type);

    /// <summary>Its name; only a GUID partition table has them.</summary>
    public string Name { get; init; } = "";

    /// <summary>Its identifier: a GUID; of a boot record the disk's number and its own, as Linux makes it up.</summary>
    public string Id { get; init; } = "";

    /// <summary>Whether the boot record says to start from it.</summary>
    public bool IsActive { get; init; }

    /// <summary>Whether it lies in the extended partition.</summary>
    public bool IsLogical { get; init; }
}

/// <summary>How a disk is divided. Made by <see cref="PartitionTableReader"/>; constant.</summary>
public sealed record PartitionTable
{
    /// <summary>Which kind.</summary>
    public required PartitionScheme Scheme { get; init; }

    /// <summary>The disk's identifier: a GUID, or eight hexadecimal digits.</summary>
    public required string Id { get; init; }

    /// <summary>Bytes of the sectors that the table counts in: 512 or 4096.</summary>
    public required int SectorSize { get; init; }

    /// <summary>Bytes of the disk.</summary>
    public required long DiskLength { get; init; }

    /// <summary>The partitions by number; the extended one, which only holds others, is not among them.</summary>
    public required IReadOnlyList<Partition> Partitions { get; init; }

    /// <summary>Where the table itself lies, on this disk: boot records, headers, arrays.</summary>
    public required IReadOnlyList<Extent> Sectors { get; init; }

    /// <summary>The extended partition; null when there is none.</summary>
    public Extent? Extended { get; init; }

    /// <summary>Why the table can't be trusted, in one sentence; null when it can.</summary>
    public string? Doubt { get; init; }

    /// <summary>What is not in order about it and does not make it doubtful.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];

    /// <summary>The bytes it was read from, to write it anew.</summary>
    internal TableBytes Bytes { get; init; } = new([]);
}

/// <summary>What a table was read from.</summary>
/// <param name="BootRecord">The first 512 bytes of the disk.</param>
internal sealed record TableBytes(byte[] BootRecord)
{
    /// <summary>The copy of a GUID partition table that was believed; null when there is none.</summary>
    public GptCopy? Gpt { get; init; }

    /// <summary>Where the backup copy lies, as far as one was found.</summary>
    public IReadOnlyList<Extent> Backup { get; init; } = [];

    /// <summary>The extended boot records in the order of their chain.</summary>
    public IReadOnlyList<ExtendedBootRecord> Chain { get; init; } = [];
}

/// <summary>One link of the chain of logical partitions.</summary>
/// <param name="Lba">Its sector.</param>
/// <param name="Bytes">Its first 512 bytes.</param>
/// <param name="Number">The partition that it describes; 0 for none.</param>
internal sealed record ExtendedBootRecord(long Lba, byte[] Bytes, int Number);
