using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>
/// Old bytes to copy before a write may land: neighbouring blocks of the origin into slots with consecutive numbers.
/// A run lies wholly in memory slots or wholly in spill slots.
/// </summary>
/// <param name="Origin">Whole blocks; the last one is cut at the end of the volume.</param>
/// <param name="FirstSlot">The slot of the first block.</param>
internal readonly record struct SaveRun(Extent Origin, long FirstSlot);
