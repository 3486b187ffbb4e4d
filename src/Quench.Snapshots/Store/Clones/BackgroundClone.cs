namespace Quench.Snapshots.Store.Clones;

/// <summary>A full copy of a snapshot that a process of its own makes, or made.</summary>
/// <param name="Id">What it is called on the command line.</param>
/// <param name="Job">What is copied, and where to.</param>
/// <param name="State">How it stands.</param>
/// <param name="BytesDone">Bytes of the snapshot that were gone through.</param>
/// <param name="BytesTotal">Bytes of it that are in use; 0 while they are still being found.</param>
/// <param name="Outcome">How it ended; null while it goes on, and when its process died.</param>
public sealed record BackgroundClone(string Id, CloneJob Job, CloneState State, long BytesDone, long BytesTotal, CloneOutcome? Outcome);

/// <summary>What a background clone copies.</summary>
public sealed record CloneJob
{
    /// <summary>The process that copies.</summary>
    public required int Process { get; init; }

    /// <summary>The attached volume's name.</summary>
    public required string Volume { get; init; }

    /// <summary>The snapshot's number.</summary>
    public required uint Snapshot { get; init; }

    /// <summary>The file or device that it is copied to, as a whole path.</summary>
    public required string Target { get; init; }

    /// <summary>When copying began.</summary>
    public required DateTimeOffset Began { get; init; }
}

/// <summary>How a background clone ended.</summary>
public sealed record CloneOutcome
{
    /// <summary>When.</summary>
    public required DateTimeOffset Ended { get; init; }

    /// <summary>Bytes that were written; all of them durable when there is no failure.</summary>
    public long WrittenBytes { get; init; }

    /// <summary>Why there is no copy; null when there is one.</summary>
    public string? Failure { get; init; }
}

/// <summary>How a background clone stands.</summary>
public enum CloneState
{
    /// <summary>It goes on.</summary>
    Copying,

    /// <summary>The copy is whole and durable, and needs nothing else.</summary>
    Done,

    /// <summary>It gave up and said why.</summary>
    Failed,

    /// <summary>Its process died before it was done: the target is not a copy.</summary>
    Dead,
}
