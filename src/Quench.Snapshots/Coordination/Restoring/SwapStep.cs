namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>One name that changes what it stands for. Which of the three are given says how.</summary>
/// <param name="Live">The name.</param>
/// <param name="New">Where what comes lies until then; null when nothing comes.</param>
/// <param name="Kept">Where what was there is kept; null when nothing was.</param>
public sealed record SwapStep(string Live, string? New, string? Kept)
{
    /// <summary>The number of what was there, by which it is known wherever it is; 0 when nothing was, or nobody has looked yet.</summary>
    public ulong OldNumber { get; init; }
}
