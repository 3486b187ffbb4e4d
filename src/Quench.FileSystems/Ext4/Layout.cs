using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>
/// Where everything lies, worked out from a superblock and believed: every number here has been held against the others and against the
/// volume's length, so that code built on it may compute and allocate without further checks.
/// </summary>
internal sealed class Layout
{
    public required int BlockSize { get; init; }

    /// <summary>Blocks in a cluster, the unit of the bitmaps: 1 without bigalloc. A power of two.</summary>
    public required int ClusterRatio { get; init; }

    public required long FirstDataBlock { get; init; }

    /// <summary>All blocks, those before <see cref="FirstDataBlock"/> included.</summary>
    public required long Blocks { get; init; }

    public required int BlocksPerGroup { get; init; }

    public required int Groups { get; init; }

    public required int InodesPerGroup { get; init; }

    public required int InodeSize { get; init; }

    public required int DescriptorSize { get; init; }

    public required int ReservedDescriptorBlocks { get; init; }

    /// <summary>From this block of the descriptor table on, the table is spread over the groups it describes.</summary>
    public required long FirstMetaBlock { get; init; }

    public required BackupRule Backups { get; init; }

    public required ChecksumRule Checksum { get; init; }

    public required uint JournalInode { get; init; }

    public int ClusterSize => BlockSize * ClusterRatio;

    public int DescriptorsPerBlock => BlockSize / DescriptorSize;

    public int DescriptorBlocks => (int)(((long)Groups + DescriptorsPerBlock - 1) / DescriptorsPerBlock);

    public int InodeTableBlocks => (int)((((long)InodesPerGroup * InodeSize) + BlockSize - 1) / BlockSize);

    public long Length => Blocks * BlockSize;

    /// <summary>Reads a superblock.</summary>
    /// <exception cref="InDoubtException">A feature is not known, a checksum is wrong, or the numbers do not fit each other or the volume.</exception>
    public static Layout From(Superblock superblock, long volumeLength)
    {
        RequireKnownFeatures(superblock);
        ChecksumRule checksum = ChecksumRule.From(superblock);
        int blockSize = BlockSizeOf(superblock);
        int ratio = ClusterRatioOf(superblock);
        long blocks = BlocksOf(superblock, blockSize, volumeLength);
        int blocksPerGroup = BlocksPerGroupOf(superblock, blockSize, ratio);
        int groups = GroupsOf(superblock, blockSize, blocks, blocksPerGroup);
        return new Layout
        {
            BlockSize = blockSize,
            ClusterRatio = ratio,
            FirstDataBlock = superblock.FirstDataBlock,
            Blocks = blocks,
            BlocksPerGroup = blocksPerGroup,
            Groups = groups,
            InodesPerGroup = InodesPerGroupOf(superblock, blockSize, groups),
            InodeSize = InodeSizeOf(superblock, blockSize),
            DescriptorSize = DescriptorSizeOf(superblock, blockSize),
            ReservedDescriptorBlocks = ReservedOf(superblock, blockSize),
            FirstMetaBlock = superblock.Has(IncompatibleFeatures.MetaBlockGroups) ? superblock.FirstMetaGroup : long.MaxValue,
            Backups = BackupRule.From(superblock),
            Checksum = checksum,
            JournalInode = superblock.JournalInode,
        };
    }

    public long FirstBlockOf(int group) => FirstDataBlock + ((long)group * BlocksPerGroup);

    /// <summary>Blocks in a group: the last one may be short.</summary>
    public int BlocksIn(int group) => (int)Math.Min(BlocksPerGroup, Blocks - FirstBlockOf(group));

    /// <summary>Bits of a group's bitmap that mean something.</summary>
    public int ClustersIn(int group) => (BlocksIn(group) + ClusterRatio - 1) / ClusterRatio;

    /// <summary>The block that holds one block's worth of the descriptor table.</summary>
    public long DescriptorBlock(int index)
    {
        if (index < FirstMetaBlock)
        {
            return SuperblockBlock(0) + 1 + index;
        }

        int group = index * DescriptorsPerBlock;
        return SuperblockBlock(group) + (Backups.Holds(group) ? 1 : 0);
    }

    /// <summary>
    /// The blocks at a group's start that belong to the file system as a whole: a superblock (or its backup), descriptor blocks (or their
    /// backups), and the room reserved for the descriptor table to grow. Count is 0 where there are none.
    /// </summary>
    public (long First, long Count) BaseBlocks(int group)
    {
        long count = Backups.Holds(group) ? 1 : 0;
        if (group / DescriptorsPerBlock < FirstMetaBlock)
        {
            count += count == 0 ? 0 : FirstMetaBlock == long.MaxValue ? DescriptorBlocks + (long)ReservedDescriptorBlocks : FirstMetaBlock;
        }
        else
        {
            int inMetaGroup = group % DescriptorsPerBlock;
            count += inMetaGroup == 0 || inMetaGroup == 1 || inMetaGroup == DescriptorsPerBlock - 1 ? 1 : 0;
        }

        return (SuperblockBlock(group), count);
    }

    /// <summary>Where a group's superblock is or would be: its first block, but block 1 where 1 KiB blocks are counted from 0.</summary>
    private long SuperblockBlock(int group)
    {
        long first = FirstBlockOf(group);
        return first == 0 && BlockSize == Superblock.Offset ? 1 : first;
    }

    private static void RequireKnownFeatures(Superblock superblock)
    {
        Unless(
            !superblock.Has(IncompatibleFeatures.JournalDevice),
            "this is the external journal of another ext4 file system, not a file system");
        uint incompatible = (uint)(superblock.Incompatible & ~IncompatibleFeatures.Known);
        Unless(incompatible == 0, $"the ext4 file system uses an incompatible feature not known here (bits 0x{incompatible:x})");
        uint readOnly = (uint)(superblock.ReadOnlyCompatible & ~ReadOnlyCompatibleFeatures.Known);
        Unless(readOnly == 0, $"the ext4 file system uses a read-only compatible feature not known here (bits 0x{readOnly:x})");
        uint compatible = (uint)(superblock.Compatible & CompatibleFeatures.Refused);
        Unless(compatible == 0, $"the ext4 file system uses a compatible feature that changes its bitmaps' meaning (bits 0x{compatible:x})");
        Unless(superblock.Revision <= 1, $"the ext4 file system is of revision {superblock.Revision}, which is not known here");
    }

    private static int BlockSizeOf(Superblock superblock)
    {
        Unless(superblock.LogBlockSize <= 6, $"the ext4 superblock states a block size of 2^{10 + (long)superblock.LogBlockSize} bytes; 64 KiB is the most there is");
        return 1024 << (int)superblock.LogBlockSize;
    }

    private static int ClusterRatioOf(Superblock superblock)
    {
        if (!superblock.Has(ReadOnlyCompatibleFeatures.Bigalloc))
        {
            return 1;
        }

        Unless(
            superblock.LogClusterSize >= superblock.LogBlockSize && superblock.LogClusterSize <= 20,
            $"the ext4 superblock states a cluster size of 2^{10 + (long)superblock.LogClusterSize} bytes, which cannot be");
        return 1 << (int)(superblock.LogClusterSize - superblock.LogBlockSize);
    }

    private static long BlocksOf(Superblock superblock, int blockSize, long volumeLength)
    {
        bool fromOne = blockSize == 1024 && !superblock.Has(ReadOnlyCompatibleFeatures.Bigalloc);
        Unless(superblock.FirstDataBlock == (fromOne ? 1 : 0), $"the ext4 superblock states {superblock.FirstDataBlock} as its first data block, which cannot be");
        ulong held = (ulong)(volumeLength / blockSize);
        Unless(
            superblock.BlocksCount <= held,
            $"the ext4 file system states a length of {superblock.BlocksCount} blocks of {blockSize} bytes; its volume holds only {held}");
        Unless(superblock.BlocksCount > superblock.FirstDataBlock, "the ext4 superblock states a length of no blocks");
        return (long)superblock.BlocksCount;
    }

    private static int BlocksPerGroupOf(Superblock superblock, int blockSize, int ratio)
    {
        // Without bigalloc old file systems leave the cluster count at whatever fragments once were.
        uint clusters = ratio == 1 ? superblock.BlocksPerGroup : superblock.ClustersPerGroup;
        bool fits = clusters is >= 8 && clusters <= blockSize * 8u && clusters % 8 == 0 && superblock.BlocksPerGroup == (ulong)clusters * (uint)ratio;
        Unless(
            fits && superblock.BlocksPerGroup >= 256,
            $"the ext4 superblock states block groups of {superblock.BlocksPerGroup} blocks in {clusters} clusters, which cannot be");
        return (int)superblock.BlocksPerGroup;
    }

    private static int GroupsOf(Superblock superblock, int blockSize, long blocks, int blocksPerGroup)
    {
        long groups = (blocks - superblock.FirstDataBlock + blocksPerGroup - 1) / blocksPerGroup;
        Unless(groups <= int.MaxValue / 64, $"the ext4 file system has {groups} block groups of {blockSize}-byte blocks, more than Quench reads");
        return (int)groups;
    }

    private static int InodesPerGroupOf(Superblock superblock, int blockSize, int groups)
    {
        uint perGroup = superblock.InodesPerGroup;
        Unless(
            perGroup > 0 && perGroup <= blockSize * 8u && superblock.InodesCount == (ulong)perGroup * (uint)groups,
            $"the ext4 superblock states {superblock.InodesCount} inodes, {perGroup} in each of {groups} groups, which do not agree");
        return (int)perGroup;
    }

    private static int InodeSizeOf(Superblock superblock, int blockSize)
    {
        int size = superblock.Revision == 0 ? 128 : superblock.DynamicInodeSize;
        Unless(size >= 128 && size <= blockSize && int.IsPow2(size), $"the ext4 superblock states inodes of {size} bytes, which cannot be");
        return size;
    }

    private static int DescriptorSizeOf(Superblock superblock, int blockSize)
    {
        int size = superblock.Has(IncompatibleFeatures.SixtyFourBit) ? superblock.DescriptorSize : GroupDescriptor.SmallSize;
        bool large = size >= GroupDescriptor.LargeSize && size <= Math.Min(blockSize, 1024) && int.IsPow2(size);
        Unless(
            large || !superblock.Has(IncompatibleFeatures.SixtyFourBit),
            $"the ext4 superblock states group descriptors of {size} bytes, which cannot be");
        return size;
    }

    private static int ReservedOf(Superblock superblock, int blockSize)
    {
        int reserved = superblock.ReservedDescriptorBlocks;
        Unless(reserved <= blockSize / 4, $"the ext4 superblock reserves {reserved} blocks for more group descriptors, which cannot be");
        return reserved;
    }
}
