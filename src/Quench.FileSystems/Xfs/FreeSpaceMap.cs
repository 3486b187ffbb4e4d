using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs;

/// <summary>Draws the map: everything is in use, but for what each allocation group's free space tree and free list hold.</summary>
internal sealed class FreeSpaceMap
{
    private const uint InodeHeaderMagic = 0x58414749; // "XAGI"
    private readonly Layout _layout;
    private readonly IBlockReader _volume;
    private readonly UsedBlocks _used;
    private readonly byte[] _headers;
    private ulong _free;

    private FreeSpaceMap(Layout layout, IBlockReader volume)
    {
        _layout = layout;
        _volume = volume;
        _used = new UsedBlocks(volume.Geometry.Length, layout.BlockSize);
        _used.Bits.SetRange(0, _used.Bits.Length);
        _headers = new byte[4 * layout.SectorSize];
    }

    /// <summary>Reads every group.</summary>
    /// <param name="layout">Checked.</param>
    /// <param name="volume">Lent.</param>
    /// <param name="unmounted">The file system was unmounted in order: then the superblock's count must be right too.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">A checksum is wrong, or numbers contradict one another.</exception>
    public static async ValueTask<UsedBlocks> DrawAsync(Layout layout, IBlockReader volume, bool unmounted, CancellationToken cancellationToken)
    {
        FreeSpaceMap map = new(layout, volume);
        for (int group = 0; group < layout.Groups; group++)
        {
            await map.TakeAsync(group, cancellationToken);
        }

        Unless(!unmounted || map._free == layout.FreeBlocks, $"the XFS superblock states {layout.FreeBlocks} free blocks; its groups have {map._free}");
        long log = map._used.Bits.CountSet(layout.LogBlock, layout.LogBlocks);
        Unless(log == layout.LogBlocks, "the XFS free space lies over the log");
        return map._used;
    }

    private async ValueTask TakeAsync(int group, CancellationToken cancellationToken)
    {
        await VolumeBytes.ReadAsync(_volume, _layout.FirstBlockOf(group) * _layout.BlockSize, _headers, cancellationToken);
        uint[] listed = ListedBlocks(group);
        FreeSpaceTree tree = await FreeSpaceTree.WalkAsync(_layout, _volume, group, Root(), _used.Bits, cancellationToken);
        RequireTotals(group, tree);
        TakeListed(group, listed);
        RequireOwnInUse(group, tree);
    }

    private GroupHeader Header() => new(_headers.AsSpan(_layout.SectorSize, _layout.SectorSize));

    private (uint Block, uint Levels) Root() => (Header().BlockRoot, Header().BlockLevels);

    private uint[] ListedBlocks(int group)
    {
        Unless(ReadUInt32BigEndian(_headers) == Superblock.ExpectedMagic, $"XFS allocation group {group} does not begin with a superblock");
        Header().Check(_layout, group);
        FreeList list = new(_headers.AsSpan(3 * _layout.SectorSize, _layout.SectorSize), _layout, group);
        list.Check();
        return list.Blocks(Header());
    }

    private void RequireTotals(int group, FreeSpaceTree tree)
    {
        GroupHeader header = Header();
        Unless(
            tree.Free == header.FreeBlocks && tree.Longest == header.Longest,
            $"XFS allocation group {group} states {header.FreeBlocks} free blocks, the longest run {header.Longest}; its tree has {tree.Free} and {tree.Longest}");
        _free += (ulong)tree.Free + header.FreeListCount + header.TreeBlocks;
    }

    private void TakeListed(int group, uint[] listed)
    {
        foreach (uint block in listed)
        {
            bool isUsed = block < _layout.BlocksIn(group) && _used.Bits[_layout.FirstBlockOf(group) + block];
            Unless(isUsed, $"the free list of XFS allocation group {group} names a block outside of it, twice, or one that is free anyway");
            _used.Bits.Clear(_layout.FirstBlockOf(group) + block);
        }
    }

    /// <summary>What is known to be in use must not be free: the headers, the roots, the blocks of the tree that was walked.</summary>
    private void RequireOwnInUse(int group, FreeSpaceTree tree)
    {
        GroupHeader header = Header();
        RequireInUse(group, 0, _layout.HeaderBlocks);
        RequireInUse(group, header.CountRoot, 1);
        RequireInodeTreesInUse(group);
        if ((_layout.ReadOnlyCompatible & ReadOnlyCompatibleFeatures.ReverseMap) != 0)
        {
            RequireInUse(group, header.ReverseMapRoot, 1);
        }

        if ((_layout.ReadOnlyCompatible & ReadOnlyCompatibleFeatures.Reflink) != 0)
        {
            RequireInUse(group, header.RefcountRoot, 1);
        }

        foreach (uint block in tree.Own)
        {
            RequireInUse(group, block, 1);
        }
    }

    /// <summary>The inode header ("AGI"), the third sector: only its trees' roots are looked at.</summary>
    private void RequireInodeTreesInUse(int group)
    {
        ReadOnlySpan<byte> header = _headers.AsSpan(2 * _layout.SectorSize, _layout.SectorSize);
        bool mine = ReadUInt32BigEndian(header) == InodeHeaderMagic && ReadUInt32BigEndian(header[8..]) == group;
        Unless(mine, $"the inode header of XFS allocation group {group} is not there");
        RequireInUse(group, ReadUInt32BigEndian(header[0x14..]), 1);
        if ((_layout.ReadOnlyCompatible & ReadOnlyCompatibleFeatures.FreeInodeTree) != 0)
        {
            RequireInUse(group, ReadUInt32BigEndian(header[0x148..]), 1);
        }
    }

    private void RequireInUse(int group, long block, long count)
    {
        bool inside = block + count <= _layout.BlocksIn(group);
        Unless(
            inside && _used.Bits.CountSet(_layout.FirstBlockOf(group) + block, count) == count,
            $"XFS allocation group {group} counts block {block} as free, which holds its own metadata");
    }
}
