using Quench.Blocks;
using Quench.FileSystems.Btrfs;
using Quench.FileSystems.Containers;
using Quench.FileSystems.ExFat;
using Quench.FileSystems.Ext4;
using Quench.FileSystems.Fat;
using Quench.FileSystems.Ntfs;
using Quench.FileSystems.PartitionTables;
using Quench.FileSystems.Swap;
using Quench.FileSystems.Xfs;

namespace Quench.FileSystems;

/// <summary>Finds out what is on a volume by asking every analyser there is.</summary>
public static class Recogniser
{
    private static readonly IFileSystemAnalyser[] s_analysers =
    [
        new Ext4Analyser(), new XfsAnalyser(), new BtrfsAnalyser(), new FatAnalyser(), new ExFatAnalyser(), new NtfsAnalyser(), new SwapAnalyser(), new LuksAnalyser(), new LvmAnalyser(),
    ];

    /// <summary>Says what is on a volume and which of its bytes matter.</summary>
    /// <returns>
    /// The map of the one file system found. Everything in use, with a <see cref="VolumeAnalysis.Doubt"/>, when that file system's map cannot
    /// be trusted or another tenant's mark stands beside it. Everything in use and <see cref="VolumeAnalysis.FileSystem"/> null when nothing
    /// was recognised. Content alone never makes it throw.
    /// </returns>
    /// <param name="volume">Only read. Must not change meanwhile: a snapshot, or a volume that nobody writes.</param>
    /// <param name="condition">In what condition it was at the moment that it shows.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="IOException">The medium failed.</exception>
    public static ValueTask<VolumeAnalysis> AnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken) =>
        AnalyseAsync(volume, _ => condition, cancellationToken);

    /// <summary>The same of a disk whose partitions need not all be in one condition.</summary>
    /// <param name="volume">Only read. Must not change meanwhile.</param>
    /// <param name="conditionOf">In what condition a partition was, or the whole volume.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="IOException">The medium failed.</exception>
    public static async ValueTask<VolumeAnalysis> AnalyseAsync(IBlockReader volume, Func<Extent, VolumeCondition> conditionOf, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(volume);
        ArgumentNullException.ThrowIfNull(conditionOf);
        VolumeAnalysis? found = await TryFindAsync(volume, conditionOf(volume.Geometry.Whole), cancellationToken);
        PartitionTable? table = await PartitionTableReader.TryReadAsync(volume, cancellationToken);
        if (found is null && table is null)
        {
            return VolumeAnalysis.AllInUse(volume.Geometry.Length);
        }

        if (found is null)
        {
            return await UnlessForeignAsync(volume, await DiskAnalyser.AnalyseAsync(volume, table!, conditionOf, cancellationToken), cancellationToken);
        }

        // Program text of a boot sector can look like a boot record, but hardly like one that fits the disk.
        return table is { Scheme: PartitionScheme.Gpt } or { Doubt: null }
            ? InDoubt(volume, found, "the volume also carries the mark of a partition table")
            : await UnlessForeignAsync(volume, found, cancellationToken);
    }

    /// <summary>What the analysers find; in doubt when two of them find something, null when none does.</summary>
    internal static async ValueTask<VolumeAnalysis?> TryFindAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        VolumeAnalysis? found = null;
        foreach (IFileSystemAnalyser analyser in s_analysers)
        {
            VolumeAnalysis? answer = await analyser.TryAnalyseAsync(volume, condition, cancellationToken);
            if (answer is not null && found is not null)
            {
                return InDoubt(volume, found, $"the volume also carries the mark of {analyser.Tenant}");
            }

            found ??= answer;
        }

        return found;
    }

    /// <summary>The same of one partition, beside which no other tenant's mark may stand; everything in use when nothing is found.</summary>
    internal static async ValueTask<VolumeAnalysis> AnalysePartitionAsync(IBlockReader partition, VolumeCondition condition, CancellationToken cancellationToken) =>
        await TryFindAsync(partition, condition, cancellationToken) is { } found
            ? await UnlessForeignAsync(partition, found, cancellationToken)
            : VolumeAnalysis.AllInUse(partition.Geometry.Length);

    private static async ValueTask<VolumeAnalysis> UnlessForeignAsync(IBlockReader volume, VolumeAnalysis found, CancellationToken cancellationToken)
    {
        string? tenant = await ForeignSignature.FindAsync(volume, cancellationToken);
        return tenant is null ? found : InDoubt(volume, found, $"the volume also carries the mark of {tenant}");
    }

    private static VolumeAnalysis InDoubt(IBlockReader volume, VolumeAnalysis found, string doubt) =>
        VolumeAnalysis.AllInUse(volume.Geometry.Length, found.FileSystem, doubt) with { Disk = found.Disk };
}
