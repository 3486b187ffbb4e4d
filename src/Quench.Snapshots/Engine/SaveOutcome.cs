namespace Quench.Snapshots.Engine;

/// <summary>How the copying that a write asked for went.</summary>
internal readonly record struct SaveOutcome
{
    private SaveOutcome(string? failure) => Failure = failure;

    /// <summary>All runs are in their slots: a reader may take them from there now.</summary>
    public static SaveOutcome Saved => default;

    /// <summary>What went wrong; null when nothing did.</summary>
    public string? Failure { get; }

    /// <summary>At least one run is not in its slots.</summary>
    /// <param name="failure">What happened, to what: one sentence without a full stop.</param>
    public static SaveOutcome Failed(string failure) => new(failure);
}
