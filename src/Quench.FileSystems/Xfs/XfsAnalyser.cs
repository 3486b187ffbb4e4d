using Quench.Blocks;
using Quench.FileSystems.Xfs.Log;

namespace Quench.FileSystems.Xfs;

/// <summary>The used-block map of XFS. What it knows and refuses is in the README of this room.</summary>
internal sealed class XfsAnalyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "xfs";

    /// <inheritdoc/>
    public string Tenant => "an XFS file system";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        byte[] superblock = new byte[Superblock.Size];
        if (!await VolumeBytes.TryReadAsync(volume, 0, superblock, cancellationToken) || new Superblock(superblock).Magic != Superblock.ExpectedMagic)
        {
            return null;
        }

        long length = volume.Geometry.Length;
        FileSystemFacts facts = new Superblock(superblock).Facts();
        try
        {
            Layout layout = Layout.From(new Superblock(superblock), length);
            superblock = await ReadSectorAsync(volume, layout, cancellationToken);
            LogState log = await LogReader.ReadAsync(layout, volume, superblock, cancellationToken);
            facts = facts with { State = StateOf(facts.State, log, condition) };
            InDoubtException.Unless(log != LogState.Pending, "the XFS log holds changes that are not in their places yet: the free space on the volume may lag behind");
            UsedBlocks used = await FreeSpaceMap.DrawAsync(layout, volume, log == LogState.Clean, cancellationToken);
            return new VolumeAnalysis(facts, used, Doubt: null);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    /// <summary>
    /// A freeze writes all metadata to their places and then one change of the superblock to the log, so that a mount after a crash looks after
    /// deleted files that were still open. Frozen counts as in order; the same bytes at rest have something to recover, however little.
    /// </summary>
    private static FileSystemState StateOf(FileSystemState stated, LogState log, VolumeCondition condition) =>
        stated != FileSystemState.Clean || log == LogState.Clean || (log == LogState.SuperblockOnly && condition == VolumeCondition.Frozen)
            ? stated
            : FileSystemState.NeedsRecovery;

    /// <summary>The superblock's whole sector.</summary>
    /// <exception cref="InDoubtException">It does not match its checksum.</exception>
    public static async ValueTask<byte[]> ReadSectorAsync(IBlockReader volume, Layout layout, CancellationToken cancellationToken)
    {
        byte[] sector = new byte[layout.SectorSize];
        await VolumeBytes.ReadAsync(volume, 0, sector, cancellationToken);
        InDoubtException.Unless(!layout.HasChecksums || new Superblock(sector).HasRightChecksum, "the XFS superblock does not match its checksum");
        return sector;
    }
}
