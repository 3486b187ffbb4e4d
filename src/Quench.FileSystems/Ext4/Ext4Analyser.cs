using Quench.Blocks;
using Quench.FileSystems.Ext4.Journal;

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
        Layout layout = Layout.From(new Superblock(superblock), volume.Geometry.Length);
        RequireSound(superblock);
        MetadataReader reader = new(volume, layout.BlockSize, replay: null);
        if (facts.State == FileSystemState.NeedsRecovery)
        {
            ReplayedBlocks replay = await JournalReplay.RunAsync(volume, layout, reader, cancellationToken);
            reader = new MetadataReader(volume, layout.BlockSize, replay);
            await RereadAsync(reader, superblock, cancellationToken);
            layout = Layout.From(new Superblock(superblock), volume.Geometry.Length);
            InDoubtException.Unless(layout.BlockSize == reader.BlockSize, "the ext4 journal would change the block size");
            RequireSound(superblock);
            facts = new Superblock(superblock).Facts() with { State = FileSystemState.NeedsRecovery };
        }

        GroupTable groups = await GroupTable.ReadAsync(layout, reader, cancellationToken);
        UsedBlocks used = await UsedBlockMap.DrawAsync(layout, groups, reader, volume.Geometry.Length, cancellationToken);
        return new VolumeAnalysis(facts, used, Doubt: null);
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

    /// <summary>Reads the superblock again as the journal leaves it.</summary>
    private static async ValueTask RereadAsync(MetadataReader reader, byte[] superblock, CancellationToken cancellationToken)
    {
        byte[] block = new byte[reader.BlockSize];
        await reader.ReadAsync(Superblock.Offset / reader.BlockSize, block, cancellationToken);
        block.AsSpan(Superblock.Offset % reader.BlockSize, Superblock.Size).CopyTo(superblock);
        InDoubtException.Unless(
            new Superblock(superblock).Magic == Superblock.ExpectedMagic, "the ext4 journal would overwrite the superblock with something else");
    }

    /// <summary>
    /// Bitmaps are believed only where something vouches for them. Without a journal a file system in use writes them whenever it likes,
    /// so one that was not unmounted may hold data in blocks that its bitmaps call free; one that has noted errors may too.
    /// </summary>
    private static void RequireSound(byte[] superblock)
    {
        SuperblockState state = new Superblock(superblock).State;
        InDoubtException.Unless((state & SuperblockState.Errors) == 0, "the ext4 file system has noted errors; check it with e2fsck");
        InDoubtException.Unless(
            (state & SuperblockState.Valid) != 0, "the ext4 file system was not unmounted in order and no journal says what its bitmaps lack; check it with e2fsck");
        InDoubtException.Unless(
            (state & SuperblockState.FastCommitReplay) == 0, "the ext4 file system was interrupted while replaying fast commits; mount it once to finish that");
    }
}
