using Quench.Blocks;
using Quench.FileSystems;
using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>In what condition the parts of a snapshot are: of a disk partition by partition, of anything else as a whole.</summary>
internal static class PartConditions
{
    /// <summary>At the instant of a volume whose file systems were held: a partition that nobody uses is as it was left, one that can't be frozen goes on.</summary>
    public static VolumeCondition AtInstant(ISnapshot snapshot, Extent extent) =>
        IsWhole(snapshot, extent) ? VolumeCondition.Frozen : Of(PartAt(snapshot, extent));

    /// <summary>While its writers go on.</summary>
    public static VolumeCondition WhileRunning(ISnapshot snapshot, Extent extent) =>
        IsWhole(snapshot, extent) || PartAt(snapshot, extent) is not null ? VolumeCondition.Running : VolumeCondition.AtRest;

    /// <summary>A partition at the instant.</summary>
    /// <param name="part">Null for one that nobody uses.</param>
    public static VolumeCondition Of(PartInUse? part) =>
        part is null ? VolumeCondition.AtRest : part.IsFrozen ? VolumeCondition.Frozen : VolumeCondition.Running;

    /// <summary>The partition in use that begins there; null when nobody uses it.</summary>
    public static PartInUse? PartAt(ISnapshot snapshot, Extent extent) => snapshot.Parts.FirstOrDefault(part => part.Extent.Offset == extent.Offset);

    private static bool IsWhole(ISnapshot snapshot, Extent extent) => snapshot.Parts.Count == 0 || extent == snapshot.Reader.Geometry.Whole;
}
