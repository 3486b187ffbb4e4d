using Quench.Snapshots.Providers.Tracked;

namespace Quench.Snapshots.Writes;

/// <summary>Which requests and which pages belong to the volume that is watched.</summary>
/// <param name="Range">Where the volume lies on its disk.</param>
/// <param name="Device">The volume's own number, as the kernel has it in one word.</param>
/// <param name="IsWholeDisk">Whether it is a disk, and no part of one.</param>
/// <param name="FileSystems">The numbers of the file systems on it.</param>
/// <param name="Devices">The numbers of the devices whose own cache holds parts of it: the volume, and the partitions on it.</param>
internal sealed record WriteTarget(TrackerTarget Range, uint Device, bool IsWholeDisk, IReadOnlyList<uint> FileSystems, IReadOnlyList<uint> Devices);
