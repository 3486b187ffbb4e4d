using Quench.Blocks;
using Quench.Vault;

namespace Quench.Cli.Output;

/// <summary>One piece of a disk as it is drawn: a partition, or what lies between two.</summary>
/// <param name="Partition">The partition; null for a gap.</param>
/// <param name="Extent">Where it lies.</param>
/// <param name="UsedBytes">How much of it is in use.</param>
internal sealed record DiskRegion(PartitionRecord? Partition, Extent Extent, long UsedBytes)
{
    /// <summary>Its number; "-" for a gap.</summary>
    public string Number => Partition is { } partition ? $"{partition.Number}" : "-";

    /// <summary>What is on it, in a word or two.</summary>
    public string Content => Partition is not { } partition ? "(no partition)" : partition.FileSystem.Length > 0 ? partition.FileSystem : "unknown";

    /// <summary>All pieces in their order on the disk.</summary>
    public static IReadOnlyList<DiskRegion> Of(DiskRecord disk) =>
    [
        .. disk.Partitions.Select(partition => new DiskRegion(partition, new Extent(partition.Offset, partition.Length), partition.UsedBytes))
            .Concat(disk.Gaps.Select(gap => new DiskRegion(null, new Extent(gap.Offset, gap.Length), gap.UsedBytes)))
            .OrderBy(region => region.Extent.Offset),
    ];

    /// <summary>Text of the disk's own, without what a terminal would obey.</summary>
    public static string Plain(string text) => new([.. text.Select(letter => char.IsControl(letter) ? '?' : letter)]);
}
