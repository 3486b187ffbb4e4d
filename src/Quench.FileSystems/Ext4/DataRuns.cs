using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>
/// Where the blocks of any file or folder lie, holes left out, blocks that were never written included. <see cref="FileBlocks"/> is its stricter brother for the journal, which it reads
/// before there is a group table.
/// </summary>
internal sealed class DataRuns
{
    /// <summary>The most pieces of one file. It bounds memory: 24 bytes each.</summary>
    private const int RunsLimit = 4 << 20;

    private readonly InodeReader _reader;
    private readonly uint _seed;
    private readonly string _what;
    private readonly List<DataRun> _runs = []; // by position, none over another
    private long _count;                       // blocks in all

    private DataRuns(InodeReader reader, uint seed, string what) => (_reader, _seed, _what) = (reader, seed, what);

    /// <summary>Finds the blocks of an inode that has passed its checksum and does not keep its data inside.</summary>
    /// <param name="reader">Reads what leads to them.</param>
    /// <param name="inode">The inode.</param>
    /// <param name="seed">What the checksums of its blocks start from.</param>
    /// <param name="what">For sentences: "ext4 inode 12".</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="InDoubtException">What leads to them is damaged, goes round in circles, or leads outside the file system.</exception>
    public static async ValueTask<IReadOnlyList<DataRun>> ReadAsync(InodeReader reader, byte[] inode, uint seed, string what, CancellationToken cancellationToken)
    {
        DataRuns found = new(reader, seed, what);
        byte[] field = new Inode(inode).BlockField.ToArray();
        if (new Inode(inode).HasExtents)
        {
            await found.AddTreeAsync(field, ExtentNode.DepthLimit + 1, cancellationToken);
        }
        else
        {
            await found.AddBlockNumbersAsync(field, cancellationToken);
        }

        return found._runs;
    }

    private long NextPosition => _runs.Count == 0 ? 0 : _runs[^1].Position + _runs[^1].Count;

    /// <summary>Adds what lies below a node that has passed its checksum. Its depth is less than the limit, and every node adds something behind what was added before.</summary>
    private async ValueTask AddTreeAsync(byte[] bytes, int depthLimit, CancellationToken cancellationToken)
    {
        ExtentNode node = new(bytes);
        Unless(node.IsWellFormed && node.Depth < depthLimit, $"the extent tree of {_what} is damaged");
        (int entries, int depth) = (node.Entries, node.Depth);
        for (int entry = 0; entry < entries; entry++)
        {
            if (depth == 0)
            {
                AddLeaf(new ExtentNode(bytes), entry);
                continue;
            }

            byte[] child = await _reader.ReadBlockAsync(new ExtentNode(bytes).Child(entry), cancellationToken);
            CheckNode(child, depth - 1);
            long before = _count;
            await AddTreeAsync(child, depth, cancellationToken);
            Unless(_count > before, $"the extent tree of {_what} is damaged");
        }
    }

    private void CheckNode(byte[] bytes, int depth)
    {
        ExtentNode node = new(bytes);
        Unless(node.IsWellFormed && node.Depth == depth, $"the extent tree of {_what} is damaged");
        Unless(!_reader.Layout.Checksum.Metadata || node.HasChecksum(_seed), $"the extent tree of {_what} does not match its checksum");
    }

    private void AddLeaf(ExtentNode leaf, int entry)
    {
        long position = leaf.LogicalBlock(entry);
        Unless(position >= NextPosition && leaf.AllocatedLength(entry) > 0, $"the extent tree of {_what} is damaged");
        Add(position, leaf.Start(entry), leaf.AllocatedLength(entry));
    }

    /// <summary>12 blocks, then a block of block numbers, a block of those, and a block of those; 0 is a hole as long as what it would lead to.</summary>
    private async ValueTask AddBlockNumbersAsync(byte[] field, CancellationToken cancellationToken)
    {
        long position = 0;
        for (int slot = 0; slot < 15; slot++)
        {
            int level = Math.Max(0, slot - 11);
            await AddIndirectAsync(ReadUInt32LittleEndian(field.AsSpan(slot * 4)), level, position, cancellationToken);
            position += Span(level);
        }
    }

    private async ValueTask AddIndirectAsync(uint block, int level, long position, CancellationToken cancellationToken)
    {
        if (block == 0)
        {
            return;
        }

        if (level == 0)
        {
            Add(position, block, 1);
            return;
        }

        byte[] numbers = await _reader.ReadBlockAsync(block, cancellationToken);
        for (int at = 0; at < numbers.Length; at += 4)
        {
            await AddIndirectAsync(ReadUInt32LittleEndian(numbers.AsSpan(at)), level - 1, position + (at / 4 * Span(level - 1)), cancellationToken);
        }
    }

    /// <summary>How many blocks of the file lie below a number of a level.</summary>
    private long Span(int level)
    {
        long span = 1;
        for (; level > 0; level--)
        {
            span *= _reader.Layout.BlockSize / 4;
        }

        return span;
    }

    private void Add(long position, ulong start, long count)
    {
        bool inside = start >= (ulong)_reader.Layout.FirstDataBlock && start < (ulong)_reader.Layout.Blocks && (ulong)count <= (ulong)_reader.Layout.Blocks - start;
        Unless(inside, $"{_what} leads to blocks outside the file system");
        _count += count;
        Unless(_count <= _reader.Layout.Blocks, $"{_what} has more blocks than the file system");
        if (_runs.Count > 0 && NextPosition == position && _runs[^1].Start + _runs[^1].Count == (long)start)
        {
            _runs[^1] = _runs[^1] with { Count = _runs[^1].Count + count };
            return;
        }

        Unless(_runs.Count < RunsLimit, $"{_what} is in more than {RunsLimit} pieces, more than Quench follows");
        _runs.Add(new DataRun(position, (long)start, count));
    }
}
