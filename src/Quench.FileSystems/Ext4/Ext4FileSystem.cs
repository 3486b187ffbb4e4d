using Quench.Blocks;
using Quench.FileSystems.Ext4.Journal;

namespace Quench.FileSystems.Ext4;

/// <summary>A file system whose superblock is believed, as its journal leaves it.</summary>
/// <param name="Layout">Where everything lies.</param>
/// <param name="Reader">Reads its blocks, through the journal where that holds work.</param>
/// <param name="Replay">What the journal would write; null when it holds nothing.</param>
/// <param name="Facts">As the superblock states them.</param>
internal sealed record Ext4FileSystem(Layout Layout, MetadataReader Reader, ReplayedBlocks? Replay, FileSystemFacts Facts)
{
    /// <summary>Opens it.</summary>
    /// <param name="volume">Lent.</param>
    /// <param name="superblock">As it was read; changed to what the journal makes of it.</param>
    /// <param name="facts">As that superblock states them.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">It cannot be trusted.</exception>
    public static async ValueTask<Ext4FileSystem> OpenAsync(IBlockReader volume, byte[] superblock, FileSystemFacts facts, CancellationToken cancellationToken)
    {
        Layout layout = Layout.From(new Superblock(superblock), volume.Geometry.Length);
        RequireSound(superblock);
        MetadataReader reader = new(volume, layout.BlockSize, replay: null);
        if (facts.State != FileSystemState.NeedsRecovery)
        {
            return new Ext4FileSystem(layout, reader, null, facts);
        }

        ReplayedBlocks replay = await JournalReplay.RunAsync(volume, layout, reader, cancellationToken);
        reader = new MetadataReader(volume, layout.BlockSize, replay);
        await RereadAsync(reader, superblock, cancellationToken);
        layout = Layout.From(new Superblock(superblock), volume.Geometry.Length);
        InDoubtException.Unless(layout.BlockSize == reader.BlockSize, "the ext4 journal would change the block size");
        RequireSound(superblock);
        return new Ext4FileSystem(layout, reader, replay, new Superblock(superblock).Facts() with { State = FileSystemState.NeedsRecovery });
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
