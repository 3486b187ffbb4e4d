using Quench.Blocks;

namespace Quench.FileSystems.Ext4;

/// <summary>The used-block map of ext2, ext3 and ext4. What it knows and refuses is in the README of this room.</summary>
internal sealed class Ext4Analyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "ext";

    /// <inheritdoc/>
    public string Tenant => "an ext file system";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken)
    {
        byte[] superblock = new byte[Superblock.Size];
        if (!await VolumeBytes.TryReadAsync(volume, Superblock.Offset, superblock, cancellationToken) || new Superblock(superblock).Magic != Superblock.ExpectedMagic)
        {
            return null;
        }

        long length = volume.Geometry.Length;
        FileSystemFacts facts = new Superblock(superblock).Facts();
        if (condition != VolumeCondition.AtRest && new Superblock(superblock).MayBeInUseWithoutJournal)
        {
            return InUseWithoutJournal(length, facts, condition);
        }

        try
        {
            return await AnalyseAsync(volume, superblock, facts, cancellationToken);
        }
        catch (InDoubtException doubt)
        {
            return VolumeAnalysis.AllInUse(length, facts, doubt.Message);
        }
    }

    private static async ValueTask<VolumeAnalysis> AnalyseAsync(
        IBlockReader volume, byte[] superblock, FileSystemFacts facts, CancellationToken cancellationToken)
    {
        Ext4FileSystem opened = await Ext4FileSystem.OpenAsync(volume, superblock, facts, cancellationToken);
        GroupTable groups = await GroupTable.ReadAsync(opened.Layout, opened.Reader, cancellationToken);
        UsedBlocks used = await UsedBlockMap.DrawAsync(opened.Layout, groups, opened.Reader, volume.Geometry.Length, cancellationToken);
        return new VolumeAnalysis(opened.Facts, used, Doubt: null);
    }

    /// <summary>
    /// Without a journal the mark of an orderly end is taken away by the mount and comes back with the unmount, so a sound file system in use
    /// looks like one that was never unmounted. Frozen it is in order on the disk. But nothing on the disk says whether it was in order when it
    /// was mounted: it may have been mounted unchecked after a crash, and then its bitmaps may call blocks free that hold files. So nothing is left out.
    /// </summary>
    private static VolumeAnalysis InUseWithoutJournal(long length, FileSystemFacts facts, VolumeCondition condition) => condition == VolumeCondition.Frozen
        ? VolumeAnalysis.AllInUse(
            length,
            facts with { State = FileSystemState.Clean },
            $"the {facts.Type} file system is mounted and has no journal, so nothing on it vouches for the bitmaps that it was mounted with")
        : VolumeAnalysis.AllInUse(
            length,
            facts with { State = FileSystemState.NeedsRecovery },
            $"the {facts.Type} file system was in use, not frozen and without a journal, so its bitmaps may lag behind its files");
}
