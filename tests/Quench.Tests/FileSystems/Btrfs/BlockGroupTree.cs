using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>
/// Gives a freshly made file system a block group tree, as newer programs make it: the block groups' items move from the extent tree into the block of
/// the UUID tree, which the kernel makes anew at the next mount.
/// </summary>
internal static class BlockGroupTree
{
    private const ulong Extents = 2;
    private const ulong Uuids = 9;
    private const ulong Groups = 11;
    private const byte Root = 132;
    private const byte Group = 192;

    /// <summary>Moves them; false when a copy of one of the trees lies farther from the start than is read here, as in a large file system that keeps two.</summary>
    public static bool TryMove(string path)
    {
        const int most = 256 << 20;
        using FileStream file = new(path, FileMode.Open, FileAccess.ReadWrite);
        byte[] bytes = new byte[Math.Min(most, file.Length)]; // all that a new one has written, but a third superblock
        file.ReadExactly(bytes);
        BtrfsImage image = new(bytes);
        long extents = image.ExtentTree;
        long groups = image.TreeOf(Uuids);
        if (new[] { extents, groups, image.RootTree }.SelectMany(image.CopiesOf).Any(copy => copy + image.NodeSize > bytes.Length))
        {
            return false;
        }

        List<(ulong ObjectId, byte Type, ulong Offset, byte[] Item)> items = [.. image.Items(image.PlaceOf(extents))];
        byte[] owned = items.First(item => item.ObjectId == (ulong)groups).Item;
        WriteUInt64LittleEndian(owned.AsSpan(owned.Length - 8), Groups);
        image.Write(groups, Groups, [.. items.Where(item => item.Type == Group)]);
        image.Write(extents, Extents, [.. items.Where(item => item.Type != Group)]);
        image.Write(image.RootTree, 1, [.. image.Items(image.PlaceOf(image.RootTree)).Select(Renamed).OrderBy(item => item.ObjectId).ThenBy(item => item.Type).ThenBy(item => item.Offset)]);
        foreach (int place in new[] { BtrfsImage.SuperblockPlace, 64 << 20 })
        {
            bytes[place + 0xB4] |= 8; // read-only compatible: block group tree
            WriteUInt64LittleEndian(bytes.AsSpan(place + 0x233), 0); // the UUID tree's generation
            BtrfsImage.Seal(bytes, place, BtrfsImage.SuperblockSize);
        }

        file.Position = 0;
        file.Write(bytes);
        return true;
    }

    private static (ulong ObjectId, byte Type, ulong Offset, byte[] Item) Renamed((ulong ObjectId, byte Type, ulong Offset, byte[] Item) item) =>
        item.ObjectId == Uuids && item.Type == Root ? item with { ObjectId = Groups } : item;
}
