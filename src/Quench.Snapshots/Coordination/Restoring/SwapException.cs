namespace Quench.Snapshots.Coordination.Restoring;

/// <summary>A swap could not be done.</summary>
/// <param name="message">Why.</param>
/// <param name="left">What could not be taken back; empty when everything is as it was.</param>
/// <param name="cause">The failure below.</param>
public sealed class SwapException(string message, IReadOnlyList<SwapStep> left, Exception cause) : Exception(message, cause)
{
    /// <summary>What could not be taken back; empty when everything is as it was.</summary>
    public IReadOnlyList<SwapStep> Left { get; } = left;
}
