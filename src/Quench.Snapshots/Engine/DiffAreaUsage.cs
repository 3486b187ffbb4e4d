namespace Quench.Snapshots.Engine;

/// <summary>How full a diff area is. Bytes are whole slots, those being filled included.</summary>
/// <param name="UsedBytes">Now.</param>
/// <param name="CapBytes">The most it may hold.</param>
/// <param name="PeakBytes">The most it has held.</param>
/// <param name="IsNearlyFull">At or past the high mark.</param>
internal readonly record struct DiffAreaUsage(long UsedBytes, long CapBytes, long PeakBytes, bool IsNearlyFull);
