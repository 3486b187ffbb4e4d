using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>Finds files of ext2, ext3 and ext4 by their paths, and the blocks of their data. What it takes for proved is in the README of this room.</summary>
internal sealed class Ext4Files : IFileExtents
{
    /// <inheritdoc/>
    public bool Reads(string type) => type is "ext2" or "ext3" or "ext4";

    /// <inheritdoc/>
    public async ValueTask<FileFindings> FindAsync(IBlockReader volume, IFolderSelection root, long mostBlocks, CancellationToken cancellationToken)
    {
        byte[] superblock = new byte[Superblock.Size];
        await VolumeBytes.ReadAsync(volume, Superblock.Offset, superblock, cancellationToken);
        try
        {
            Unless(new Superblock(superblock).Magic == Superblock.ExpectedMagic, "there is no ext file system any more");
            Ext4FileSystem opened = await Ext4FileSystem.OpenAsync(volume, superblock, new Superblock(superblock).Facts(), cancellationToken);
            GroupTable groups = await GroupTable.ReadAsync(opened.Layout, opened.Reader, cancellationToken);
            bool hasKinds = new Superblock(superblock).Has(IncompatibleFeatures.FileType);
            return await new Ext4FileWalk(opened, groups, hasKinds, volume.Geometry.Length, mostBlocks).RunAsync(Ext4FileWalk.RootInode, root, cancellationToken);
        }
        catch (InDoubtException doubt)
        {
            return FileCollector.GiveUp(volume.Geometry.Length, doubt.Message);
        }
    }
}
