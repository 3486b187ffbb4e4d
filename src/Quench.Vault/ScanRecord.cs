namespace Quench.Vault;

/// <summary>How a volume was read for its image: all that was in use, or what had changed since an earlier point.</summary>
public sealed record ScanRecord
{
    /// <summary>Everything in use was read.</summary>
    public const string Full = "full";

    /// <summary>What had changed was read; the rest has the ids of <see cref="Base"/>.</summary>
    public const string Changes = "changes";

    /// <summary>The record of changes was found wrong, and everything in use was read.</summary>
    public const string FullAfterDoubt = "full after doubt";

    /// <summary>One of the three above.</summary>
    public string Kind { get; init; } = Full;

    /// <summary>Why everything, or a doubtful part, was read; null when the record of changes was exact.</summary>
    public string? Reason { get; init; }

    /// <summary>The point whose ids were taken over; null when none was. This point does not depend on it.</summary>
    public Guid? Base { get; init; }

    /// <summary>Bytes read of the volume for the image and for the sample. A proof's are not counted.</summary>
    public long ReadBytes { get; init; }

    /// <summary>Bytes that had changed by the record of changes.</summary>
    public long ChangedBytes { get; init; }

    /// <summary>Bytes of which the record of changes was not certain.</summary>
    public long DoubtfulBytes { get; init; }

    /// <summary>Chunks that were read and compared by hash because of doubt alone.</summary>
    public long DoubtfulChunks { get; init; }

    /// <summary>Those of them that were different.</summary>
    public long DoubtfulChunksDiffering { get; init; }

    /// <summary>Chunks that were called unchanged and were read to test that.</summary>
    public int SampledChunks { get; init; }

    /// <summary>Map pages that were stored for the image.</summary>
    public long NewPages { get; init; }

    /// <summary>How the record of changes was found wrong; null when it was not.</summary>
    public string? MapDistrusted { get; init; }
}
