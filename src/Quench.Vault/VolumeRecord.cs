namespace Quench.Vault;

/// <summary>One volume of a recovery point: what it was, and where its image begins.</summary>
public sealed record VolumeRecord
{
    /// <summary>The name it has in the point, unique there: "sda2", "root".</summary>
    public required string Name { get; init; }

    /// <summary>What was imaged, as the user would name it: a device or a path.</summary>
    public required string Source { get; init; }

    /// <summary>Bytes.</summary>
    public required long Length { get; init; }

    /// <summary>Bytes of a sector; a power of two.</summary>
    public required int SectorSize { get; init; }

    /// <summary>The root of its map tree, from <see cref="ImageWriter.FinishAsync"/>; the hole when all of it is zeros.</summary>
    public required ChunkId Root { get; init; }

    /// <summary>The file system's name; empty when unknown.</summary>
    public string FileSystem { get; init; } = "";

    /// <summary>The file system's label.</summary>
    public string Label { get; init; } = "";

    /// <summary>The file system's UUID.</summary>
    public string Uuid { get; init; } = "";

    /// <summary>Who held the instant: "filter", "cold", "lvm"….</summary>
    public string Provider { get; init; } = "";

    /// <summary>How consistent it is: "crash", "file-system", "application".</summary>
    public string Grade { get; init; } = "crash";

    /// <summary>The moment this volume is of.</summary>
    public DateTimeOffset Instant { get; init; }

    /// <summary>How long its writers were held; null when nothing was frozen.</summary>
    public double? FreezeMilliseconds { get; init; }

    /// <summary>Bytes in use on the volume, what <see cref="Exclusions"/> left out not counted.</summary>
    public long UsedBytes { get; init; }

    /// <summary>Bytes of the image that no earlier chunk had.</summary>
    public long NewBytes { get; init; }

    /// <summary>Bytes stored for it.</summary>
    public long StoredBytes { get; init; }

    /// <summary>The most bytes the diff area held while it was imaged.</summary>
    public long DiffAreaPeakBytes { get; init; }

    /// <summary>Why the used-block map was not trusted, when it was not.</summary>
    public string? MapDoubt { get; init; }

    /// <summary>The proof that image and instant are equal, when one was made.</summary>
    public ProofRecord? Proof { get; init; }

    /// <summary>How the volume was read; null in points of programs that did not say.</summary>
    public ScanRecord? Scan { get; init; }

    /// <summary>How the disk was divided; null of a volume without partitions, and in points of programs that did not say.</summary>
    public DiskRecord? Disk { get; init; }

    /// <summary>What was left out on purpose; null when nothing was to be, and in points of programs that could not.</summary>
    public ExclusionRecord? Exclusions { get; init; }
}

/// <summary>A hash of the whole volume, equal at the instant and in the image.</summary>
/// <param name="Algorithm">"sha256".</param>
/// <param name="Hash">The hash in hexadecimal digits.</param>
/// <param name="At">When it was compared.</param>
public sealed record ProofRecord(string Algorithm, string Hash, DateTimeOffset At);
