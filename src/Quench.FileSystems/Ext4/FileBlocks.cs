using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>Where the blocks of a file without holes lie, as runs. Kept for the journal, which is such a file.</summary>
internal sealed class FileBlocks
{
    /// <summary>The longest journal, and the most pieces of one, that is read: mke2fs makes at most 10,240,000 blocks. It bounds memory and time.</summary>
    private const long BlocksLimit = 16 * 1024 * 1024;
    private const int RunsLimit = 1024 * 1024;

    private readonly Layout _layout;
    private readonly MetadataReader _reader;
    private readonly uint _number;
    private readonly List<Run> _runs = []; // by position in the file; each begins where the one before ends; none empty

    private long _wanted; // blocks that the inode's size asks for

    private FileBlocks(Layout layout, MetadataReader reader, uint number)
    {
        _layout = layout;
        _reader = reader;
        _number = number;
    }

    /// <summary>How many blocks.</summary>
    public long Count => _runs.Count == 0 ? 0 : _runs[^1].Position + _runs[^1].Count;

    /// <summary>Finds a file's blocks.</summary>
    /// <exception cref="InDoubtException">The inode or its tree is damaged, has holes, or leads outside the file system.</exception>
    public static async ValueTask<FileBlocks> ReadAsync(Layout layout, MetadataReader reader, uint number, CancellationToken cancellationToken)
    {
        FileBlocks file = new(layout, reader, number);
        byte[] inode = await file.ReadInodeAsync(cancellationToken);
        uint seed = file.CheckInode(inode);
        if (new Inode(inode).HasExtents)
        {
            await file.AddTreeAsync(new Inode(inode).BlockField.ToArray(), ExtentNode.DepthLimit + 1, seed, cancellationToken);
        }
        else
        {
            await file.AddBlockNumbersAsync(new Inode(inode).BlockField.ToArray(), cancellationToken);
        }

        Unless(file.Count >= file._wanted, $"ext4 inode {number} is longer than the blocks it has");
        return file;
    }

    /// <summary>The block of the file system at a position in the file, and how many follow it there consecutively, itself included.</summary>
    public (long Block, long Consecutive) At(long position)
    {
        int low = 0;
        int high = _runs.Count - 1;
        while (low < high)
        {
            int middle = (low + high + 1) / 2;
            (low, high) = _runs[middle].Position <= position ? (middle, high) : (low, middle - 1);
        }

        long inside = position - _runs[low].Position;
        return (_runs[low].Start + inside, _runs[low].Count - inside);
    }

    private async ValueTask<byte[]> ReadInodeAsync(CancellationToken cancellationToken)
    {
        Unless(_number > 0, "the ext4 superblock names no inode where it should");
        long group = (_number - 1) / (uint)_layout.InodesPerGroup;
        Unless(group < _layout.Groups, $"ext4 inode {_number} lies outside the file system");
        byte[] block = new byte[_layout.BlockSize];
        await _reader.ReadAsync(Inside(_layout.DescriptorBlock((int)group / _layout.DescriptorsPerBlock)), block, cancellationToken);
        long table = InodeTable(block, (int)group);
        long offset = (_number - 1) % (uint)_layout.InodesPerGroup * (long)_layout.InodeSize;
        await _reader.ReadAsync(Inside(table + (offset / _layout.BlockSize)), block, cancellationToken);
        return block.AsSpan((int)(offset % _layout.BlockSize), _layout.InodeSize).ToArray();
    }

    private long InodeTable(byte[] block, int group)
    {
        GroupDescriptor descriptor = new(block.AsSpan(group % _layout.DescriptorsPerBlock * _layout.DescriptorSize, _layout.DescriptorSize));
        _layout.Checksum.Check(descriptor, group);
        return Inside(descriptor.InodeTable);
    }

    private uint CheckInode(byte[] bytes)
    {
        Inode inode = new(bytes);
        uint seed = inode.ChecksumSeed(_layout.Checksum.Seed, _number);
        Unless(!_layout.Checksum.Metadata || inode.HasChecksum(seed), $"ext4 inode {_number} does not match its checksum");
        Unless(inode.IsRegularFile && inode.Size <= (ulong)_layout.Length, $"ext4 inode {_number} is not a file that this file system could hold");
        _wanted = ((long)inode.Size + _layout.BlockSize - 1) / _layout.BlockSize;
        Unless(_wanted <= BlocksLimit, $"ext4 inode {_number} has {_wanted} blocks, more than Quench reads of a journal");
        return seed;
    }

    /// <summary>Adds what lies below a node that has passed its checksum. Its depth is less than the limit: a tree cannot go round in a circle.</summary>
    private async ValueTask AddTreeAsync(byte[] bytes, int depthLimit, uint seed, CancellationToken cancellationToken)
    {
        ExtentNode node = new(bytes);
        Unless(node.IsWellFormed && node.Depth < depthLimit, $"the extent tree of ext4 inode {_number} is damaged");
        (int entries, int depth) = (node.Entries, node.Depth);
        if (depth == 0)
        {
            AddLeaf(node);
            return;
        }

        for (int entry = 0; entry < entries && Count < _wanted; entry++)
        {
            byte[] child = new byte[_layout.BlockSize];
            await _reader.ReadAsync(Inside(new ExtentNode(bytes).Child(entry)), child, cancellationToken);
            CheckNode(child, depth - 1, seed);
            long before = Count;
            await AddTreeAsync(child, depth, seed, cancellationToken);
            Unless(Count > before, $"the extent tree of ext4 inode {_number} is damaged");
        }
    }

    private void CheckNode(byte[] bytes, int depth, uint seed)
    {
        ExtentNode node = new(bytes);
        Unless(node.IsWellFormed && node.Depth == depth, $"the extent tree of ext4 inode {_number} is damaged");
        Unless(!_layout.Checksum.Metadata || node.HasChecksum(seed), $"the extent tree of ext4 inode {_number} does not match its checksum");
    }

    private void AddLeaf(ExtentNode leaf)
    {
        for (int entry = 0; entry < leaf.Entries; entry++)
        {
            Unless(leaf.LogicalBlock(entry) == Count && leaf.Length(entry) > 0, $"ext4 inode {_number} has holes where it should have none");
            Add((long)Math.Min(leaf.Start(entry), long.MaxValue), leaf.Length(entry));
        }
    }

    /// <summary>12 blocks, then a block of block numbers, a block of those, and a block of those.</summary>
    private async ValueTask AddBlockNumbersAsync(byte[] field, CancellationToken cancellationToken)
    {
        for (int slot = 0; slot < 15 && Count < _wanted; slot++)
        {
            await AddIndirectAsync(ReadUInt32LittleEndian(field.AsSpan(slot * 4)), Math.Max(0, slot - 11), cancellationToken);
        }
    }

    private async ValueTask AddIndirectAsync(uint block, int level, CancellationToken cancellationToken)
    {
        Unless(block != 0, $"ext4 inode {_number} has holes where it should have none");
        if (level == 0)
        {
            Add(block, 1);
            return;
        }

        byte[] numbers = new byte[_layout.BlockSize];
        await _reader.ReadAsync(Inside(block), numbers, cancellationToken);
        for (int at = 0; at < numbers.Length && Count < _wanted; at += 4)
        {
            await AddIndirectAsync(ReadUInt32LittleEndian(numbers.AsSpan(at)), level - 1, cancellationToken);
        }
    }

    private void Add(long start, long count)
    {
        Inside(start);
        Inside(start + count - 1);
        if (_runs.Count > 0 && _runs[^1].Start + _runs[^1].Count == start)
        {
            _runs[^1] = _runs[^1] with { Count = _runs[^1].Count + count };
        }
        else
        {
            _runs.Add(new Run(Count, start, count));
        }

        Unless(Count <= BlocksLimit && _runs.Count <= RunsLimit, $"ext4 inode {_number} has more blocks, or in more pieces, than Quench reads of a journal");
    }

    private long Inside(ulong block) => Inside((long)Math.Min(block, long.MaxValue / 2));

    private long Inside(long block)
    {
        Unless(block >= _layout.FirstDataBlock && block < _layout.Blocks, $"ext4 inode {_number} leads to blocks outside the file system");
        return block;
    }

    private readonly record struct Run(long Position, long Start, long Count);
}
