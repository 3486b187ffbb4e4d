using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

// A tree block; little-endian. (btrfs documentation, "On-disk Format", Header, Internal Node, Leaf Node)
//
//     0x00  csum (32)
//     0x20  fsid (16) ──────────────┬ bytenr (8) ────────────────┬ flags (8)
//     0x40  chunk_tree_uuid (16) ───┼ generation (8) ────────────┼ owner (8)
//     0x60  nritems (4) ┬ level (1)
//     0x65  node  (key (17), blockptr (8), generation (8)) …
//           leaf  (key (17), offset (4), size (4)) … free space … the items' data, the first one's at the very end; offsets from 0x65
internal readonly ref struct TreeNode(ReadOnlySpan<byte> bytes)
{
    private const int HeaderSize = 0x65;
    private const int PointerSize = TreeKey.Size + 16;
    private const int ItemSize = TreeKey.Size + 8;
    private const ulong Written = 1;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    public int Count => (int)ReadUInt32LittleEndian(_bytes[0x60..]);

    public int Level => _bytes[0x64];

    /// <summary>The number of the tree that it is of.</summary>
    public ulong Owner => ReadUInt64LittleEndian(_bytes[0x58..]);

    private int EntrySize => Level == 0 ? ItemSize : PointerSize;

    public TreeKey KeyAt(int index) => TreeKey.Read(EntryAt(index));

    public ulong ChildAt(int index) => ReadUInt64LittleEndian(EntryAt(index)[TreeKey.Size..]);

    public ulong ChildGenerationAt(int index) => ReadUInt64LittleEndian(EntryAt(index)[(TreeKey.Size + 8)..]);

    /// <summary>An item's data.</summary>
    public ReadOnlySpan<byte> ItemAt(int index)
    {
        (uint offset, uint size) = DataAt(index);
        return _bytes.Slice(HeaderSize + (int)offset, (int)size);
    }

    /// <exception cref="InDoubtException">It is not the block that was meant, it was damaged, or it is not formed as its kind must be.</exception>
    public void Check(Layout layout, in TreeRoot meant)
    {
        Unless(BlockChecksum.IsRight(layout.Checksum, _bytes), $"the btrfs tree block at {meant.Place} does not match its checksum");
        bool mine = ReadUInt64LittleEndian(_bytes[0x30..]) == meant.Place && _bytes.Slice(0x20, 16).SequenceEqual(layout.MetadataUuid)
            && (ReadUInt64LittleEndian(_bytes[0x38..]) & Written) != 0 && Level == meant.Level
            && ReadUInt64LittleEndian(_bytes[0x50..]) == meant.Generation && Owner == meant.Owner;
        Unless(mine, $"the btrfs tree block at {meant.Place} is not the block of tree {unchecked((long)meant.Owner)} that should be there");
        bool holds = ReadUInt32LittleEndian(_bytes[0x60..]) <= (uint)((_bytes.Length - HeaderSize) / EntrySize);
        Unless(holds && (Level > 0 ? Count > 0 : ItemsAreInPlace()), $"the btrfs tree block at {meant.Place} is not formed as it must be");
    }

    private bool ItemsAreInPlace()
    {
        uint end = (uint)(_bytes.Length - HeaderSize);
        for (int index = 0; index < Count; index++)
        {
            (uint offset, uint size) = DataAt(index);
            if (offset > end || size != end - offset)
            {
                return false;
            }

            end = offset;
        }

        return end >= (uint)(Count * ItemSize);
    }

    private (uint Offset, uint Size) DataAt(int index)
    {
        ReadOnlySpan<byte> entry = EntryAt(index);
        return (ReadUInt32LittleEndian(entry[TreeKey.Size..]), ReadUInt32LittleEndian(entry[(TreeKey.Size + 4)..]));
    }

    private ReadOnlySpan<byte> EntryAt(int index) => _bytes.Slice(HeaderSize + (index * EntrySize), EntrySize);
}
