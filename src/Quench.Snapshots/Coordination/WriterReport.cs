namespace Quench.Snapshots.Coordination;

/// <summary>What one writer did in one backup: its answers, their times, what failed. Sealed into the point.</summary>
public sealed record WriterReport
{
    /// <summary>Who.</summary>
    public required WriterIdentity Identity { get; init; }

    /// <summary>What it said about itself; null when it did not.</summary>
    public WriterMetadata? Metadata { get; init; }

    /// <summary>Where it ended, or at which step it failed.</summary>
    public required WriterState State { get; init; }

    /// <summary>Why it failed.</summary>
    public WriterError Error { get; init; }

    /// <summary>Why, in its own words; null when it did not fail.</summary>
    public string? Message { get; init; }

    /// <summary>Each call, in order.</summary>
    public required IReadOnlyList<WriterStep> Steps { get; init; }

    /// <summary>How long its writes were held, by our clock: from the call of its freeze to the answer of its thaw. Null when they never were.</summary>
    public TimeSpan? HeldFor { get; init; }

    /// <summary>True only when it confirmed, in time, that its writes were held over the instant, and nothing failed before.</summary>
    public bool WasHeld { get; init; }

    /// <summary>It was held and has handed over what a restore needs: its components can be restored as the application left them.</summary>
    public bool IsConsistent { get; init; }

    /// <summary>What it handed over for a restore.</summary>
    public IReadOnlyList<WriterDocument> Documents { get; init; } = [];
}

/// <summary>One call of a writer.</summary>
/// <param name="Event">What it was asked.</param>
/// <param name="Began">When, since the operation began.</param>
/// <param name="Took">How long it took; until it was given up when it did not answer.</param>
/// <param name="Error">How it ended.</param>
/// <param name="Message">Why, when it failed.</param>
public sealed record WriterStep(WriterEvent Event, TimeSpan Began, TimeSpan Took, WriterError Error, string? Message);
