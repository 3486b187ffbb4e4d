using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems.PartitionTables;

namespace Quench.FileSystems;

/// <summary>
/// Which blocks of a partitioned disk are in use: the table, each partition by its own analyser, and of what lies between them the beginnings and the ends.
/// </summary>
/// <remarks>
/// Boot code lies outside of partitions: behind the boot record, and on some boards up to 16 MiB into the disk. What firmware and volume managers keep for themselves
/// (RAID, the database of Windows' dynamic disks) lies in the last MiB. So the first 16 MiB and the last MiB of every gap count as in use, zeros or not, and all of a gap that is no
/// longer. The middle of a longer one is room that nobody has claimed.
/// </remarks>
internal static class DiskAnalyser
{
    internal const long GapHead = 16 << 20;
    internal const long GapTail = 1 << 20;

    private const int BlockSize = 4096; // coarser than sectors: a partition that begins inside a block has a little more in use than it says

    /// <summary>Analyses a disk whose table has been read.</summary>
    public static async ValueTask<VolumeAnalysis> AnalyseAsync(
        IBlockReader disk, PartitionTable table, Func<Extent, VolumeCondition> conditionOf, CancellationToken cancellationToken)
    {
        ByteAddressable bytes = new(disk); // a partition may begin between two of the disk's own sectors; not to be disposed: the disk is the caller's
        table = await ChooseSectorsAsync(bytes, table, conditionOf, cancellationToken);
        long length = disk.Geometry.Length;
        UsedBlocks used = new(length, BlockSize);
        List<PartitionContent> contents = [];
        foreach (Partition partition in table.Partitions.Where(partition => disk.Geometry.Whole.Contains(partition.Extent)))
        {
            contents.Add(await AddAsync(used, bytes, partition, conditionOf(partition.Extent), cancellationToken));
        }

        ExtentSet taken = new(contents.Select(content => content.Partition.Extent));
        List<DiskGap> gaps = [.. taken.Outside(disk.Geometry.Whole).Select(gap => AddGap(used, gap))];
        foreach (Extent sectors in table.Sectors)
        {
            used.Add(sectors.Intersect(disk.Geometry.Whole));
        }

        FileSystemState state = contents.Select(content => content.FileSystem?.State ?? FileSystemState.Clean).DefaultIfEmpty().Max();
        FileSystemFacts facts = new(table.Scheme == PartitionScheme.Gpt ? "gpt" : "mbr", "", table.Id, table.SectorSize, length, state);
        PartitionedDisk found = new(table, contents, gaps);
        return table.Doubt is { } doubt
            ? VolumeAnalysis.AllInUse(length, facts, doubt) with { Disk = found }
            : new VolumeAnalysis(facts, used, Doubt: null) { Disk = found };
    }

    private static async ValueTask<PartitionContent> AddAsync(
        UsedBlocks used, IBlockReader disk, Partition partition, VolumeCondition condition, CancellationToken cancellationToken)
    {
        VolumeAnalysis analysis = await Recogniser.AnalysePartitionAsync(new Slice(disk, partition.Extent), condition, cancellationToken);
        foreach (Extent run in analysis.Used.Runs())
        {
            used.Add(new Extent(partition.Extent.Offset + run.Offset, run.Length));
        }

        return new PartitionContent(partition, analysis.FileSystem, analysis.Used.TotalLength, analysis.Doubt, condition);
    }

    private static DiskGap AddGap(UsedBlocks used, Extent gap)
    {
        if (gap.Length <= GapHead + GapTail)
        {
            used.Add(gap);
            return new DiskGap(gap, gap.Length);
        }

        used.Add(new Extent(gap.Offset, GapHead));
        used.Add(Extent.FromTo(gap.End - GapTail, gap.End));
        return new DiskGap(gap, GapHead + GapTail);
    }

    /// <summary>
    /// A boot record does not say in sectors of which size it counts, and a file does not say which disk it was. Where both readings fit the disk, the one in which something is recognised
    /// is the right one; otherwise it is in doubt.
    /// </summary>
    private static async ValueTask<PartitionTable> ChooseSectorsAsync(
        IBlockReader disk, PartitionTable table, Func<Extent, VolumeCondition> conditionOf, CancellationToken cancellationToken)
    {
        if (table.Scheme != PartitionScheme.Mbr
            || await PartitionTableReader.TryReadInLargeSectorsAsync(disk, table.Bytes.BootRecord, cancellationToken) is not { } large)
        {
            return table;
        }

        bool isSmall = table.Doubt is null && await HoldsAnyAsync(disk, table, conditionOf, cancellationToken);
        bool isLarge = await HoldsAnyAsync(disk, large, conditionOf, cancellationToken);
        return isSmall == isLarge
            ? table with { Doubt = DoubtOfSectors(table.Doubt) }
            : isLarge ? large : table;
    }

    private static string DoubtOfSectors(string? doubtOfSmall)
    {
        const string Undecided = "nothing tells whether the boot record counts in sectors of 512 bytes or of 4096";
        return doubtOfSmall is null ? Undecided : $"{Undecided}; in sectors of 512 bytes {doubtOfSmall}";
    }

    private static async ValueTask<bool> HoldsAnyAsync(
        IBlockReader disk, PartitionTable table, Func<Extent, VolumeCondition> conditionOf, CancellationToken cancellationToken)
    {
        foreach (Partition partition in table.Partitions)
        {
            if (await Recogniser.TryFindAsync(new Slice(disk, partition.Extent), conditionOf(partition.Extent), cancellationToken) is not null)
            {
                return true;
            }
        }

        return false;
    }
}
