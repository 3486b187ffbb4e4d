using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

/// <summary>From the superblock to the map: chunks, roots, extents, block groups, logs.</summary>
internal sealed class Trees
{
    private const ulong FirstChunkTree = 256;
    private readonly Layout _layout;
    private readonly IBlockReader _volume;
    private readonly UsedBlocks _claims;

    private Trees(Layout layout, IBlockReader volume)
    {
        _layout = layout;
        _volume = volume;
        _claims = new UsedBlocks(volume.Geometry.Length, layout.SectorSize);
    }

    /// <summary>Reads the trees.</summary>
    /// <exception cref="InDoubtException">A block is damaged, or they contradict one another.</exception>
    public static ValueTask<UsedBlocks> DrawAsync(Layout layout, IBlockReader volume, CancellationToken cancellationToken) =>
        new Trees(layout, volume).DrawAsync(cancellationToken);

    private async ValueTask<UsedBlocks> DrawAsync(CancellationToken cancellationToken)
    {
        ChunkMap chunks = await ReadChunksAsync(cancellationToken);
        TreeReader reader = new(_layout, _volume, chunks, _claims);
        (TreeRoot extents, TreeRoot? groups) = await FindRootsAsync(reader, cancellationToken);
        AllocationMap map = new(_layout, chunks, _volume.Geometry.Length);
        await reader.WalkAsync(extents, map.TakeExtent, cancellationToken);
        if (groups is { } tree)
        {
            await reader.WalkAsync(tree, map.TakeGroup, cancellationToken);
        }

        map.Require(_claims);
        if (_layout.LogTree is { } log)
        {
            await AddLogsAsync(log, chunks, map, cancellationToken);
        }

        return map.Used;
    }

    private async ValueTask<ChunkMap> ReadChunksAsync(CancellationToken cancellationToken)
    {
        ChunkMap system = ChunkMap.OfSystem(_layout);
        List<Chunk> chunks = [];
        void Take(TreeKey key, ReadOnlySpan<byte> item)
        {
            if (key.Type == ItemType.Chunk)
            {
                Unless(key.ObjectId == FirstChunkTree && chunks.Count < ChunkMap.MostChunks, "the btrfs chunk tree has more chunks than are read here");
                chunks.Add(Chunk.FromItem(_layout, key.Offset, item));
            }
        }

        await new TreeReader(_layout, _volume, system, _claims).WalkAsync(_layout.ChunkTree, Take, cancellationToken);
        ChunkMap all = ChunkMap.From(chunks);
        foreach (Chunk chunk in system.Chunks)
        {
            Unless(all.Chunks[all.Find((ulong)chunk.Logical, (ulong)chunk.Length)] == chunk, "the btrfs superblock and the chunk tree disagree about a system chunk");
        }

        return all;
    }

    private async ValueTask<(TreeRoot Extents, TreeRoot? Groups)> FindRootsAsync(TreeReader reader, CancellationToken cancellationToken)
    {
        TreeRoot? extents = null;
        TreeRoot? groups = null;
        void Take(TreeKey key, ReadOnlySpan<byte> item)
        {
            if (key == RootKey(TreeId.Extents))
            {
                extents = TreeRoot.FromItem(TreeId.Extents, item);
            }
            else if (key == RootKey(TreeId.BlockGroups) && _layout.HasBlockGroupTree)
            {
                groups = TreeRoot.FromItem(TreeId.BlockGroups, item);
            }
        }

        await reader.WalkAsync(_layout.RootTree, RootKey(TreeId.Extents), RootKey(TreeId.BlockGroups), Take, cancellationToken);
        Unless(extents is not null && (groups is not null || !_layout.HasBlockGroupTree), "the btrfs root tree does not say where the extents or the block groups are");
        return (extents!.Value, groups);
    }

    private static TreeKey RootKey(ulong tree) => new(tree, ItemType.Root, 0);

    /// <summary>
    /// Adds what was written since the last generation was finished, for files that somebody waited for: the logs' own blocks and the data that they
    /// name. Nothing of it is on the extent tree; the next mount puts it there.
    /// </summary>
    private async ValueTask AddLogsAsync(TreeRoot log, ChunkMap chunks, AllocationMap map, CancellationToken cancellationToken)
    {
        UsedBlocks claims = new(_volume.Geometry.Length, _layout.SectorSize);
        TreeReader reader = new(_layout, _volume, chunks, claims);
        List<TreeRoot> logs = [];
        void TakeRoot(TreeKey key, ReadOnlySpan<byte> item)
        {
            if (key.Type == ItemType.Root)
            {
                logs.Add(TreeRoot.FromItem(TreeId.Log, item));
            }
        }

        await reader.WalkAsync(log, TakeRoot, cancellationToken);
        foreach (TreeRoot tree in logs)
        {
            await reader.WalkAsync(tree, (key, item) => TakeLogged(map, key, item), cancellationToken);
        }

        foreach ((long first, long count) in claims.Bits.SetRuns())
        {
            Unless(map.Used.Bits.CountSet(first, count) == 0, "a btrfs log lies over what is allocated");
            map.Used.Bits.SetRange(first, count);
        }
    }

    // A piece of a file: … type (1, at 20): 0 inline, 1 regular, 2 preallocated ┬ disk_bytenr (8, at 21): 0 a hole ┬ disk_num_bytes (8) …
    private static void TakeLogged(AllocationMap map, TreeKey key, ReadOnlySpan<byte> item)
    {
        const int leastSize = 21;
        const int regularSize = 53;
        if (key.Type != ItemType.FileExtent)
        {
            return;
        }

        bool isInline = item.Length >= leastSize && item[20] == 0;
        Unless(isInline || (item.Length == regularSize && item[20] is 1 or 2), "a piece of a file in a btrfs log is of a kind not known here");
        if (!isInline && ReadUInt64LittleEndian(item[21..]) is not 0 and var place)
        {
            ChunkTypes types = map.Add(place, ReadUInt64LittleEndian(item[29..]));
            Unless((types & ChunkTypes.Data) != 0, $"a btrfs log has a piece of a file at {place}, where there are no data");
        }
    }
}
