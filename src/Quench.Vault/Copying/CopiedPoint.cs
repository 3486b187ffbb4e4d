namespace Quench.Vault;

/// <summary>What came of copying one point.</summary>
/// <param name="Source">The point that was to be copied.</param>
/// <param name="Copy">The point in the target: durable.</param>
/// <param name="WasThere">The target had it already, and nothing was done.</param>
/// <param name="ReadBytes">Plaintext bytes that were read from the source.</param>
/// <param name="Totals">What was stored.</param>
public sealed record CopiedPoint(RecoveryPoint Source, RecoveryPoint Copy, bool WasThere, long ReadBytes, SessionTotals Totals);

/// <summary>How far the copy of a point is.</summary>
/// <param name="DoneBytes">Bytes of its volumes that the copy has got past, holes and what the target had included.</param>
/// <param name="TotalBytes">Bytes of its volumes.</param>
public readonly record struct CopyProgress(long DoneBytes, long TotalBytes);
