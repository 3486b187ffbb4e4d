namespace Quench.Snapshots.Store;

/// <summary>What a client asks about persistent snapshots.</summary>
internal sealed record StoreRequest
{
    public uint Number { get; init; }

    public string? Folder { get; init; }

    public long CapBytes { get; init; }

    public double LimitMilliseconds { get; init; }

    public string? Label { get; init; }

    public DateTimeOffset Instant { get; init; }

    public SnapshotGrade Grade { get; init; }

    public Guid? Id { get; init; }

    public KeptSet? Set { get; init; }

    public bool IsMeasured { get; init; }

    public long FromBlock { get; init; }

    public int Limit { get; init; }
}

/// <summary>What the worker answers about them.</summary>
internal sealed record StoreReply
{
    public uint Number { get; init; }

    /// <summary>The folder of the store; null when there is none.</summary>
    public string? Folder { get; init; }

    public long UsedBytes { get; init; }

    public long CapBytes { get; init; }

    public double BytesPerSecond { get; init; }

    public IReadOnlyList<StoreSnapshot> Snapshots { get; init; } = [];

    /// <summary>Offset and length, in turn.</summary>
    public long[]? Extents { get; init; }

    /// <summary>Where to go on asking; null at the end.</summary>
    public long? NextBlock { get; init; }

    public long NeededBytes { get; init; }
}

/// <summary>A snapshot in an answer.</summary>
internal sealed record StoreSnapshot
{
    public uint Number { get; init; }

    public string Label { get; init; } = "";

    public DateTimeOffset Instant { get; init; }

    public SnapshotGrade Grade { get; init; }

    /// <summary>Why it can't be read; null when it can.</summary>
    public string? Gone { get; init; }

    public long AloneBytes { get; init; }

    public long SharedBytes { get; init; }

    public string? Device { get; init; }

    public Guid? Id { get; init; }

    public KeptSet? Set { get; init; }
}
