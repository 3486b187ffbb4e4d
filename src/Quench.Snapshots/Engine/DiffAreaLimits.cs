namespace Quench.Snapshots.Engine;

/// <summary>How much old data a snapshot may keep. One slot holds one block.</summary>
/// <param name="RamSlots">Slots in memory: numbers 0 up to this.</param>
/// <param name="SpillSlots">Slots in the spill file: the numbers after those. 0 when there is no spill file.</param>
/// <param name="HighMarkPercent">How full, 1 to 100, before imaging should take saved blocks first.</param>
internal readonly record struct DiffAreaLimits(long RamSlots, long SpillSlots, int HighMarkPercent);
