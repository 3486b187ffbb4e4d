using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

/// <summary>
/// Walks a group's tree of free space by block number and takes each extent out of the map. Extents must rise, so that a tree which leads back
/// into itself ends at the first extent seen twice.
/// </summary>
internal sealed class FreeSpaceTree
{
    public const int MostLevels = 16;
    private readonly Layout _layout;
    private readonly IBlockReader _volume;
    private readonly int _group;
    private readonly BlockBitmap _used;
    private readonly byte[][] _blocks;

    // Of each level: the block before, and the block it says comes next.
    private readonly (uint Block, uint Right)[] _before;
    private readonly List<uint> _own = [];
    private long _end;

    private FreeSpaceTree(Layout layout, IBlockReader volume, int group, BlockBitmap used, int levels)
    {
        _layout = layout;
        _volume = volume;
        _group = group;
        _used = used;
        _blocks = new byte[levels][];
        _before = new (uint, uint)[levels];
        Array.Fill(_before, (TreeBlock.NoSibling, TreeBlock.NoSibling));
    }

    /// <summary>Blocks on the extents.</summary>
    public long Free { get; private set; }

    /// <summary>Blocks of the longest one.</summary>
    public long Longest { get; private set; }

    /// <summary>The blocks that the tree itself takes.</summary>
    public IReadOnlyList<uint> Own => _own;

    /// <summary>Walks one group's tree.</summary>
    /// <exception cref="InDoubtException">The tree contradicts itself.</exception>
    public static async ValueTask<FreeSpaceTree> WalkAsync(
        Layout layout, IBlockReader volume, int group, (uint Block, uint Levels) root, BlockBitmap used, CancellationToken cancellationToken)
    {
        Unless(root.Levels is > 0 and <= MostLevels, $"the free space tree of XFS allocation group {group} states {root.Levels} levels");
        FreeSpaceTree tree = new(layout, volume, group, used, (int)root.Levels);
        await tree.VisitAsync(root.Block, (int)root.Levels - 1, expected: null, cancellationToken);
        tree.RequireNoNext();
        return tree;
    }

    private async ValueTask VisitAsync(uint block, int level, uint? expected, CancellationToken cancellationToken)
    {
        byte[] bytes = _blocks[level] ??= new byte[_layout.BlockSize];
        Unless(block < _layout.BlocksIn(_group), $"the free space tree of XFS allocation group {_group} leads out of the group");
        await VolumeBytes.ReadAsync(_volume, (_layout.FirstBlockOf(_group) + block) * _layout.BlockSize, bytes, cancellationToken);
        int count = Enter(bytes, block, level, expected);
        for (int index = 0; level > 0 && index < count; index++)
        {
            (uint child, uint first) = ChildOf(bytes, index);
            await VisitAsync(child, level - 1, first, cancellationToken);
        }
    }

    private (uint Block, uint First) ChildOf(byte[] bytes, int index)
    {
        TreeBlock node = new(bytes, _layout.HasChecksums);
        return (node.Child(index), node[index].Start);
    }

    /// <summary>Checks a block against where it hangs; of a leaf takes the extents.</summary>
    private int Enter(byte[] bytes, uint block, int level, uint? expected)
    {
        TreeBlock node = new(bytes, _layout.HasChecksums);
        node.Check(_layout, _group, block, level);
        bool isOnlyLeaf = level == 0 && _blocks.Length == 1;
        bool hangsRight = node.Left == _before[level].Block && (_before[level].Block == TreeBlock.NoSibling || _before[level].Right == block)
            && (node.Count > 0 ? expected is null || node[0].Start == expected : isOnlyLeaf);
        Unless(hangsRight, $"block {block} of XFS allocation group {_group} does not hang in the free space tree as its neighbours say");
        _before[level] = (block, node.Right);
        _own.Add(block);
        for (int index = 0; level == 0 && index < node.Count; index++)
        {
            Take(node[index]);
        }

        return node.Count;
    }

    private void Take((uint Start, uint Length) extent)
    {
        // Two free extents never touch: they would be one.
        bool inOrder = extent.Length > 0 && (extent.Start > _end || (_end == 0 && extent.Start == 0)) && extent.Start + (long)extent.Length <= _layout.BlocksIn(_group);
        Unless(inOrder, $"the free extents of XFS allocation group {_group} lie over one another or outside of it");
        _end = extent.Start + (long)extent.Length;
        _used.ClearRange(_layout.FirstBlockOf(_group) + extent.Start, extent.Length);
        Free += extent.Length;
        Longest = Math.Max(Longest, extent.Length);
    }

    private void RequireNoNext()
    {
        foreach ((_, uint right) in _before)
        {
            Unless(right == TreeBlock.NoSibling, $"the free space tree of XFS allocation group {_group} ends before its blocks say so");
        }
    }
}
