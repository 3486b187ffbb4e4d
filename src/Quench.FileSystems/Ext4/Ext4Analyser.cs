using Quench.Blocks;
using Quench.FileSystems.Ext4.Journal;

namespace Quench.FileSystems.Ext4;

/// <summary>The used-block map of ext2, ext3 and ext4. What it knows and refuses is in the README of this room.</summary>
internal sealed class Ext4Analyser : IFileSystemAnalyser
{
    /// <inheritdoc/>
    public string Name => "ext";

    /// <inheritdoc/>
    public async ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, CancellationToken cancellationToken)
    {
        long length = volume.Geometry.Length;
        if (length < Superblock.Offset + Superblock.Size)
        {
            return null;
        }

        byte[] superblock = new byte[Superblock.Size];
        await VolumeBytes.ReadAsync(volume, Superblock.Offset, superblock, cancellationToken);
        if (new Superblock(superblock).Magic != Superblock.ExpectedMagic)
        {
            return null;
        }

        FileSystemFacts facts = new Superblock(superblock).Facts();
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
