using Quench.FileSystems;
using Quench.FileSystems.PartitionTables;
using Quench.Vault;

namespace Quench.Imaging;

/// <summary>A partitioned disk as points keep it.</summary>
public static class DiskText
{
    /// <summary>What a point says of a disk.</summary>
    public static DiskRecord Describe(PartitionedDisk disk)
    {
        ArgumentNullException.ThrowIfNull(disk);
        return new DiskRecord
        {
            Scheme = disk.Table.Scheme == PartitionScheme.Gpt ? "gpt" : "mbr",
            Id = disk.Table.Id,
            SectorSize = disk.Table.SectorSize,
            Partitions = [.. disk.Partitions.Select(Describe)],
            Gaps = [.. disk.Gaps.Select(gap => new GapRecord(gap.Extent.Offset, gap.Extent.Length, gap.UsedBytes))],
            Remarks = disk.Table.Remarks,
        };
    }

    /// <summary>The condition that a point's word stands for; at rest when it is none of ours.</summary>
    internal static VolumeCondition ConditionOf(string word) => word switch
    {
        "frozen" => VolumeCondition.Frozen,
        "running" => VolumeCondition.Running,
        _ => VolumeCondition.AtRest,
    };

    /// <summary>A file system's state as points spell it; empty when there is none.</summary>
    internal static string Of(FileSystemState? state) => state switch
    {
        FileSystemState.Clean => "clean",
        FileSystemState.NeedsRecovery => "needs-recovery",
        FileSystemState.Unsound => "unsound",
        _ => "",
    };

    private static PartitionRecord Describe(PartitionContent content)
    {
        (Partition partition, FileSystemFacts? found) = (content.Partition, content.FileSystem);
        return new PartitionRecord
        {
            Number = partition.Number,
            Offset = partition.Extent.Offset,
            Length = partition.Extent.Length,
            Type = partition.Type,
            TypeName = partition.TypeName,
            Name = partition.Name,
            Id = partition.Id,
            Active = partition.IsActive,
            Logical = partition.IsLogical,
            FileSystem = found?.Type ?? "",
            Label = found?.Label ?? "",
            Uuid = found?.Uuid ?? "",
            State = Of(found?.State),
            Condition = content.Condition switch { VolumeCondition.Frozen => "frozen", VolumeCondition.Running => "running", _ => "at-rest" },
            UsedBytes = content.UsedBytes,
            MapDoubt = content.Doubt,
        };
    }
}
