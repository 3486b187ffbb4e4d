using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

/// <summary>
/// Walks trees. No block is read twice, whatever points to it, and keys must rise, so that trees which lead back into themselves or into one
/// another end at once; what is read in all is bounded by the device.
/// </summary>
/// <param name="layout">Checked.</param>
/// <param name="volume">Lent.</param>
/// <param name="chunks">Where the trees' blocks are.</param>
/// <param name="claims">Gets the sectors of every block that is read, all copies; whose are set already is not read again.</param>
internal sealed class TreeReader(Layout layout, IBlockReader volume, ChunkMap chunks, UsedBlocks claims)
{
    private readonly byte[]?[] _blocks = new byte[Layout.MostLevels][];
    private TreeKey _first;
    private TreeKey _end;
    private TreeKey? _before;
    private ItemTaker _take = delegate { };

    /// <summary>Gets an item, lent for the call.</summary>
    public delegate void ItemTaker(TreeKey key, ReadOnlySpan<byte> item);

    /// <summary>Hands on the items of a tree from one key to another one, both included, in order.</summary>
    /// <exception cref="InDoubtException">A block is damaged, not the one that was meant, or in two places of the trees.</exception>
    public async ValueTask WalkAsync(TreeRoot root, TreeKey first, TreeKey last, ItemTaker take, CancellationToken cancellationToken)
    {
        Unless(root.Level < Layout.MostLevels, $"the btrfs tree at {root.Place} states {root.Level} levels below its root");
        _first = first;
        _end = last;
        _before = null;
        _take = take;
        await VisitAsync(root, expected: null, cancellationToken);
    }

    /// <summary>All items of a tree.</summary>
    public ValueTask WalkAsync(TreeRoot root, ItemTaker take, CancellationToken cancellationToken) => WalkAsync(root, TreeKey.First, TreeKey.Last, take, cancellationToken);

    private async ValueTask VisitAsync(TreeRoot meant, TreeKey? expected, CancellationToken cancellationToken)
    {
        byte[] block = _blocks[meant.Level] ??= new byte[layout.NodeSize];
        await VolumeBytes.ReadAsync(volume, Claim(meant.Place), block, cancellationToken);
        int count = Enter(block, meant, expected);
        for (int index = 0; index < count; index++)
        {
            if (TryTakeChild(block, index, out TreeRoot child, out TreeKey key))
            {
                await VisitAsync(child, key, cancellationToken);
            }
        }
    }

    /// <summary>Notes that a block is looked at and answers where its first copy is.</summary>
    private long Claim(ulong place)
    {
        Chunk chunk = chunks.Chunks[chunks.Find(place, (ulong)layout.NodeSize)];
        long offset = (long)place - chunk.Logical;
        Extent first = new(chunk.First + offset, layout.NodeSize);
        bool isWhole = offset % layout.SectorSize == 0 && (chunk.Types & (ChunkTypes.System | ChunkTypes.Metadata)) != 0;
        Unless(
            isWhole && claims.Bits.CountSet(first.Offset / layout.SectorSize, layout.NodeSize / layout.SectorSize) == 0,
            $"the btrfs tree block at {place} hangs in two places, or where there can be none");
        claims.Add(first);
        if (chunk.Second >= 0)
        {
            claims.Add(new Extent(chunk.Second + offset, layout.NodeSize));
        }

        return first.Offset;
    }

    /// <summary>Checks a block against where it hangs; of a leaf hands on the items. Answers how many children there are to visit.</summary>
    private int Enter(byte[] block, in TreeRoot meant, TreeKey? expected)
    {
        TreeNode node = new(block);
        node.Check(layout, meant);
        Unless(expected is null || (node.Count > 0 && node.KeyAt(0) == expected), $"the btrfs tree block at {meant.Place} does not begin with the key that leads to it");
        for (int index = 0; index < node.Count; index++)
        {
            TreeKey key = node.KeyAt(index);
            bool rises = meant.Level == 0
                ? _before is not { } before || before.IsBefore(key)
                : index == 0 || node.KeyAt(index - 1).IsBefore(key);
            Unless(rises, $"the keys of the btrfs tree block at {meant.Place} do not rise");
            if (meant.Level == 0)
            {
                _before = key;
                Take(node, index, key);
            }
        }

        return meant.Level == 0 ? 0 : node.Count;
    }

    private void Take(TreeNode leaf, int index, TreeKey key)
    {
        if (!key.IsBefore(_first) && !_end.IsBefore(key))
        {
            _take(key, leaf.ItemAt(index));
        }
    }

    /// <summary>The child at an index; false when nothing that is wanted can hang below it.</summary>
    private bool TryTakeChild(byte[] block, int index, out TreeRoot child, out TreeKey key)
    {
        TreeNode node = new(block);
        key = node.KeyAt(index);
        child = new TreeRoot(node.Owner, node.ChildAt(index), node.Level - 1, node.ChildGenerationAt(index));
        bool endsBefore = index + 1 < node.Count && !_first.IsBefore(node.KeyAt(index + 1));
        return !endsBefore && !_end.IsBefore(key);
    }
}
