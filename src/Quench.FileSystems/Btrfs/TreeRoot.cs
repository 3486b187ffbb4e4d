using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Btrfs;

/// <summary>Where a tree begins, as whoever points to it says; not checked yet.</summary>
/// <param name="Owner">The tree's number, which all of its blocks carry.</param>
/// <param name="Place">Its first block, as a logical address.</param>
/// <param name="Level">How many levels are below that block.</param>
/// <param name="Generation">When that block was written.</param>
internal readonly record struct TreeRoot(ulong Owner, ulong Place, int Level, ulong Generation)
{
    private const int LeastItemSize = 239;

    // A root item: an inode (160), generation (8), root_dirid (8), bytenr (8, at 176), … level (1, at 238), … (btrfs documentation, "On-disk Format", ROOT_ITEM)

    /// <summary>What the item of a root says.</summary>
    /// <exception cref="InDoubtException">It is too short.</exception>
    public static TreeRoot FromItem(ulong owner, ReadOnlySpan<byte> item)
    {
        InDoubtException.Unless(item.Length >= LeastItemSize, "the item of a btrfs tree's root is cut off");
        return new TreeRoot(
            owner,
            ReadUInt64LittleEndian(item[176..]),
            item[238],
            ReadUInt64LittleEndian(item[160..]));
    }
}
