using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

/// <summary>What the superblock says of inodes and folders, after it was checked. A number is group, block in the group and inode in the block.</summary>
/// <param name="Root">The inode of the root folder.</param>
/// <param name="InodeSize">Bytes.</param>
/// <param name="PerBlockLog">How many of a number's lowest bits count inside a block.</param>
/// <param name="FolderBlockLog">How many blocks a block of a folder has, as a power of two.</param>
/// <param name="HasKinds">Whether folders say what their names lead to.</param>
/// <param name="IgnoresCase">Whether names that differ in case only are one.</param>
internal sealed record InodeNumbers(ulong Root, int InodeSize, int PerBlockLog, int FolderBlockLog, bool HasKinds, bool IgnoresCase)
{
    /// <exception cref="InDoubtException">The numbers contradict each other.</exception>
    public static InodeNumbers From(Superblock superblock, Layout layout)
    {
        int size = superblock.InodeSize;
        int log = superblock.InodesPerBlockLog;
        Unless(size is >= 256 and <= 2048 && log is >= 0 and <= 8 && size << log == layout.BlockSize, $"the XFS superblock states inodes of {size} bytes, 2^{log} in a block");
        Unless(superblock.FolderBlockLog <= 7 && layout.BlockSize << superblock.FolderBlockLog <= Layout.MostBlockSize, $"the XFS superblock states folders in runs of 2^{superblock.FolderBlockLog} blocks");
        Unless(layout.HasChecksums || (superblock.VersionBits & VersionBits.DirV2) != 0, "its folders are of version 1, which is not known here");
        return new InodeNumbers(
            superblock.RootInode, size, log, superblock.FolderBlockLog, superblock.HasFileTypes, (superblock.VersionBits & VersionBits.IgnoresCase) != 0);
    }
}
