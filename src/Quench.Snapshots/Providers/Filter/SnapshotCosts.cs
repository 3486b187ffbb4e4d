namespace Quench.Snapshots.Providers.Filter;

/// <summary>What a snapshot has cost so far, as the worker tells it; in milliseconds.</summary>
/// <param name="SaveWait">The longest that a write waited for the spill file.</param>
/// <param name="Hold">The longest that a writer was held; null when none was.</param>
/// <param name="Handling">The longest that a saved block was on its way to the spill file.</param>
/// <param name="GiveBack">How long after its end, or after it broke, memory and spill file were given back; null when they are not yet.</param>
internal sealed record SnapshotCosts(double SaveWait, double? Hold, double Handling, double? GiveBack);
