namespace Quench.Vault;

/// <summary>How an imaged disk was divided, and what was on its partitions. (docs/vault-format.md §9.1)</summary>
public sealed record DiskRecord
{
    /// <summary>"mbr" or "gpt".</summary>
    public required string Scheme { get; init; }

    /// <summary>The disk's identifier: a GUID, or eight hexadecimal digits.</summary>
    public required string Id { get; init; }

    /// <summary>Bytes of the sectors that the table counts in.</summary>
    public required int SectorSize { get; init; }

    /// <summary>The partitions by number.</summary>
    public required IReadOnlyList<PartitionRecord> Partitions { get; init; }

    /// <summary>What lies outside of partitions, the table included, in order.</summary>
    public required IReadOnlyList<GapRecord> Gaps { get; init; }

    /// <summary>What was not in order about the table and did not make it doubtful.</summary>
    public IReadOnlyList<string> Remarks { get; init; } = [];
}

/// <summary>One partition of an imaged disk.</summary>
public sealed record PartitionRecord
{
    /// <summary>Its number, as Linux counts.</summary>
    public required int Number { get; init; }

    /// <summary>Its first byte on the disk.</summary>
    public required long Offset { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    /// <summary>Its type: "0x83", or a GUID.</summary>
    public required string Type { get; init; }

    /// <summary>What the type is called; empty when unknown.</summary>
    public string TypeName { get; init; } = "";

    /// <summary>Its name in the table.</summary>
    public string Name { get; init; } = "";

    /// <summary>Its identifier in the table.</summary>
    public string Id { get; init; } = "";

    /// <summary>Whether the boot record says to start from it.</summary>
    public bool Active { get; init; }

    /// <summary>Whether it lies in the extended partition.</summary>
    public bool Logical { get; init; }

    /// <summary>The file system's name; empty when unknown.</summary>
    public string FileSystem { get; init; } = "";

    /// <summary>The file system's label.</summary>
    public string Label { get; init; } = "";

    /// <summary>The file system's UUID.</summary>
    public string Uuid { get; init; } = "";

    /// <summary>How the file system was left: "clean", "needs-recovery", "unsound"; empty when unknown.</summary>
    public string State { get; init; } = "";

    /// <summary>In what condition it was at the instant: "at-rest", "frozen", "running".</summary>
    public string Condition { get; init; } = "";

    /// <summary>Bytes in use.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Why its used-block map was not trusted, when it was not.</summary>
    public string? MapDoubt { get; init; }
}

/// <summary>A run of an imaged disk that belongs to no partition.</summary>
/// <param name="Offset">Its first byte on the disk.</param>
/// <param name="Length">Bytes.</param>
/// <param name="UsedBytes">How many of them were imaged.</param>
public sealed record GapRecord(long Offset, long Length, long UsedBytes);
