namespace Quench.FileSystems.PartitionTables;

/// <summary>Partitions that share sectors: of one of them at least the table is wrong.</summary>
internal static class PartitionOverlap
{
    /// <summary>The doubt that two partitions give rise to; null when all lie apart.</summary>
    public static string? Find(IReadOnlyList<Partition> partitions)
    {
        Partition[] inOrder = [.. partitions.OrderBy(partition => partition.Extent.Offset)];
        for (int index = 1; index < inOrder.Length; index++)
        {
            if (inOrder[index - 1].Extent.End > inOrder[index].Extent.Offset)
            {
                return $"partitions {inOrder[index - 1].Number} and {inOrder[index].Number} overlap";
            }
        }

        return null;
    }
}
