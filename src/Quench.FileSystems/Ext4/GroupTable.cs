using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>What the map needs of a group's descriptor.</summary>
/// <param name="Bitmap">The block of its block bitmap.</param>
/// <param name="InodeTable">The first block of its inode table.</param>
/// <param name="FreeClusters">How many clusters it says are free.</param>
/// <param name="BitmapChecksum">The checksum it states for its block bitmap.</param>
/// <param name="Uninitialised">The bitmap was never written: only metadata is in use.</param>
internal readonly record struct GroupEntry(long Bitmap, long InodeTable, uint FreeClusters, uint BitmapChecksum, bool Uninitialised);

/// <summary>All group descriptors, checked, and the blocks that the file system's own structures take.</summary>
internal sealed class GroupTable
{
    private const int BlocksInOneRead = 256;
    private readonly Layout _layout;
    private readonly GroupEntry[] _entries;

    private GroupTable(Layout layout)
    {
        _layout = layout;
        _entries = new GroupEntry[layout.Groups];
        Claims = new BlockBitmap(layout.Blocks);
    }

    public GroupEntry this[int group] => _entries[group];

    /// <summary>
    /// A bit for each block that holds a superblock, descriptors, a bitmap or an inode table, of whichever group. No block is claimed twice.
    /// With flex_bg most groups keep theirs in another group.
    /// </summary>
    public BlockBitmap Claims { get; }

    /// <summary>Reads the descriptor table.</summary>
    /// <exception cref="InDoubtException">A checksum is wrong, or structures lie outside the file system or over one another.</exception>
    public static async ValueTask<GroupTable> ReadAsync(Layout layout, MetadataReader reader, CancellationToken cancellationToken)
    {
        GroupTable table = new(layout);
        table.ClaimBaseBlocks();
        byte[] buffer = new byte[Math.Min(BlocksInOneRead, layout.DescriptorBlocks) * layout.BlockSize];
        for (int index = 0; index < layout.DescriptorBlocks;)
        {
            int run = table.ConsecutiveFrom(index, buffer.Length / layout.BlockSize);
            Memory<byte> blocks = buffer.AsMemory(0, run * layout.BlockSize);
            await reader.ReadAsync(layout.DescriptorBlock(index), blocks, cancellationToken);
            table.Take(blocks.Span, index * layout.DescriptorsPerBlock);
            index += run;
        }

        return table;
    }

    private int ConsecutiveFrom(int index, int most)
    {
        long first = _layout.DescriptorBlock(index);
        int run = 1;
        while (run < most && index + run < _layout.DescriptorBlocks && _layout.DescriptorBlock(index + run) == first + run)
        {
            run++;
        }

        Unless(first + run <= _layout.Blocks, "the ext4 group descriptors reach past the end of the file system");
        return run;
    }

    private void ClaimBaseBlocks()
    {
        for (int group = 0; group < _layout.Groups; group++)
        {
            (long first, long count) = _layout.BaseBlocks(group);
            long end = _layout.FirstBlockOf(group) + _layout.BlocksIn(group);
            Unless(first + count <= end, $"the superblock and descriptors of ext4 block group {group} reach past its end");
            Claims.SetRange(first, count);
        }
    }

    private void Take(ReadOnlySpan<byte> blocks, int firstGroup)
    {
        int perBlock = _layout.DescriptorsPerBlock;
        int count = Math.Min(blocks.Length / _layout.BlockSize * perBlock, _layout.Groups - firstGroup);
        for (int index = 0; index < count; index++)
        {
            int offset = (index / perBlock * _layout.BlockSize) + (index % perBlock * _layout.DescriptorSize);
            Take(new GroupDescriptor(blocks.Slice(offset, _layout.DescriptorSize)), firstGroup + index);
        }
    }

    private void Take(GroupDescriptor descriptor, int group)
    {
        _layout.Checksum.Check(descriptor, group);
        bool uninitialised = _layout.Checksum.HonoursUninitialised && (descriptor.Flags & GroupDescriptor.BlockBitmapUninitialised) != 0;
        Claim(descriptor.BlockBitmap, 1, "block bitmap", group);
        Claim(descriptor.InodeBitmap, 1, "inode bitmap", group);
        Claim(descriptor.InodeTable, _layout.InodeTableBlocks, "inode table", group);
        _entries[group] = new GroupEntry((long)descriptor.BlockBitmap, (long)descriptor.InodeTable, descriptor.FreeClusters, descriptor.BlockBitmapChecksum, uninitialised);
    }

    private void Claim(ulong first, int count, string what, int group)
    {
        bool inside = first >= (ulong)_layout.FirstDataBlock && first <= (ulong)_layout.Blocks && count <= _layout.Blocks - (long)first;
        Unless(inside, $"the {what} of ext4 block group {group} lies outside the file system");
        Unless(Claims.CountSet((long)first, count) == 0, $"the {what} of ext4 block group {group} lies over other metadata");
        Claims.SetRange((long)first, count);
    }
}
