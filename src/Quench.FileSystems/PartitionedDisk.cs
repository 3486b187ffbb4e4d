using Quench.Blocks;
using Quench.FileSystems.PartitionTables;

namespace Quench.FileSystems;

/// <summary>A disk with partitions, as it was found.</summary>
/// <param name="Table">How it is divided.</param>
/// <param name="Partitions">What is on each partition, by number.</param>
/// <param name="Gaps">What lies outside of them, the table included, in order.</param>
public sealed record PartitionedDisk(PartitionTable Table, IReadOnlyList<PartitionContent> Partitions, IReadOnlyList<DiskGap> Gaps);

/// <summary>One partition and what is on it.</summary>
/// <param name="Partition">Where it lies and what the table says of it.</param>
/// <param name="FileSystem">The file system's facts; null when none was recognised.</param>
/// <param name="UsedBytes">How much of it counts as in use.</param>
/// <param name="Doubt">Why all of it does although a file system was seen; null when the map is exact.</param>
/// <param name="Condition">In what condition it was at the moment that was looked at.</param>
public sealed record PartitionContent(Partition Partition, FileSystemFacts? FileSystem, long UsedBytes, string? Doubt, VolumeCondition Condition);

/// <summary>A run of a disk that belongs to no partition.</summary>
/// <param name="Extent">Where it lies.</param>
/// <param name="UsedBytes">How much of it counts as in use.</param>
public sealed record DiskGap(Extent Extent, long UsedBytes);
