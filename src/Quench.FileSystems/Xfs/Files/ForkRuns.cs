using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

// Where the data of an inode lie; big-endian, but for checksums. (XFS Algorithms & Data Structures, "Data Extents", "Extent List", "B+tree Extent List", "Long Format B+trees")
//
//     extent   never written (1 bit) ─┬ position in the file (54) ─┬ group and block (52) ─┬ blocks (21)
//
//     extents  in the data fork, one behind the other
//     tree     in the data fork: level (2), numrecs (2), then keys (8 each) up to the most there can be, then as many block numbers (8 each)
//     block    magic, level (2), numrecs (2), left (8), right (8) ┬ blkno (8), lsn (8), uuid (16), owner (8), crc (4, at 0x40), 4 of padding: version 5 only
//              then extents; or keys up to the most there can be and as many block numbers: a key is the first position below its child

/// <summary>Where the blocks of any file or folder lie, holes left out, blocks that were never written included.</summary>
internal sealed class ForkRuns
{
    private const int RecordSize = 16;
    private const int MostLevels = 9;                // the kernel's own bound of such a tree
    private const uint MagicV4 = 0x424D4150;         // "BMAP"
    private const uint MagicV5 = 0x424D4133;         // "BMA3"
    private const int ChecksumOffset = 0x40;
    private const int RunsLimit = 4 << 20;           // pieces of one file; bounds memory: 24 bytes each

    private readonly XfsVolume _volume;
    private readonly ulong _number;
    private readonly List<DataRun> _runs = []; // by position, none over another, each in one group
    private ulong _extents;                    // before neighbours were put together
    private long _count;                       // blocks in all

    private ForkRuns(XfsVolume volume, ulong number) => (_volume, _number) = (volume, number);

    private long NextPosition => _runs.Count == 0 ? 0 : _runs[^1].Position + _runs[^1].Count;

    private int HeaderSize => _volume.Layout.HasChecksums ? 72 : 24;

    /// <summary>Finds the blocks of an inode that was checked and does not keep its data inside.</summary>
    /// <exception cref="InDoubtException">What leads to them is damaged, goes round in circles, or leads outside the file system.</exception>
    public static async ValueTask<IReadOnlyList<DataRun>> ReadAsync(XfsVolume volume, byte[] inode, ulong number, CancellationToken cancellationToken)
    {
        ForkRuns found = new(volume, number);
        (ForkFormat format, ulong stated) = (new XfsInode(inode).Format, new XfsInode(inode).ExtentCount);
        byte[] fork = new XfsInode(inode).DataFork.ToArray();
        if (format == ForkFormat.Extents)
        {
            Unless(stated <= (ulong)(fork.Length / RecordSize), $"the extents of XFS inode {number} do not fit into it");
            found.AddRecords(fork, (int)stated);
        }
        else
        {
            Unless(format == ForkFormat.Tree, $"XFS inode {number} keeps its data in a way that is not known here");
            await found.AddRootAsync(fork, cancellationToken);
        }

        Unless(found._extents == stated, $"XFS inode {number} states {stated} extents and has {found._extents}");
        return found._runs;
    }

    private async ValueTask AddRootAsync(byte[] fork, CancellationToken cancellationToken)
    {
        int level = ReadUInt16BigEndian(fork);
        int count = ReadUInt16BigEndian(fork.AsSpan(2));
        int most = (fork.Length - 4) / RecordSize;
        DemandNode(level is > 0 and < MostLevels && count > 0 && count <= most);
        await AddChildrenAsync(fork, 4, most, count, level, cancellationToken);
    }

    private async ValueTask AddChildrenAsync(byte[] bytes, int keys, int most, int count, int level, CancellationToken cancellationToken)
    {
        for (int index = 0; index < count; index++)
        {
            ulong first = ReadUInt64BigEndian(bytes.AsSpan(keys + (index * sizeof(ulong))));
            ulong child = ReadUInt64BigEndian(bytes.AsSpan(keys + (most * sizeof(ulong)) + (index * sizeof(ulong))));
            await AddBlockAsync(child, level - 1, first, cancellationToken);
        }
    }

    private async ValueTask AddBlockAsync(ulong number, int level, ulong first, CancellationToken cancellationToken)
    {
        long? place = _volume.Layout.Find(number, 1);
        DemandNode(place is { } found && _volume.CanBeData(found, 1));
        byte[] bytes = new byte[_volume.Layout.BlockSize];
        await _volume.ReadBlockAsync(place!.Value, bytes, cancellationToken);
        int count = Enter(bytes, place.Value, level);
        DemandNode(ReadFirst(bytes, level) == first);
        if (level == 0)
        {
            AddRecords(bytes.AsSpan(HeaderSize), count);
            return;
        }

        await AddChildrenAsync(bytes, HeaderSize, (bytes.Length - HeaderSize) / RecordSize, count, level, cancellationToken);
    }

    /// <summary>Checks a block's header.</summary>
    /// <returns>How many records or children it has.</returns>
    private int Enter(ReadOnlySpan<byte> bytes, long place, int level)
    {
        Layout layout = _volume.Layout;
        int count = ReadUInt16BigEndian(bytes[6..]);
        DemandNode(
            ReadUInt32BigEndian(bytes) == (layout.HasChecksums ? MagicV5 : MagicV4) && ReadUInt16BigEndian(bytes[4..]) == level
            && count > 0 && count <= (bytes.Length - HeaderSize) / RecordSize);
        Unless(
            !layout.HasChecksums
                || (ReadInt64BigEndian(bytes[0x18..]) == place * (layout.BlockSize / Layout.BasicBlock) && bytes.Slice(0x28, 16).SequenceEqual(layout.MetaUuid)
                    && ReadUInt64BigEndian(bytes[0x38..]) == _number && ReadUInt32LittleEndian(bytes[ChecksumOffset..]) == Crc32c.OfStructure(bytes, ChecksumOffset)),
            $"the extent tree of XFS inode {_number} does not match its checksum");
        return count;
    }

    private ulong ReadFirst(ReadOnlySpan<byte> bytes, int level)
    {
        ulong word = ReadUInt64BigEndian(bytes[HeaderSize..]);
        return level > 0 ? word : (word & long.MaxValue) >> 9;
    }

    private void AddRecords(ReadOnlySpan<byte> records, int count)
    {
        for (int index = 0; index < count; index++)
        {
            ulong high = ReadUInt64BigEndian(records[(index * RecordSize)..]);
            ulong low = ReadUInt64BigEndian(records[((index * RecordSize) + 8)..]);
            Add((long)((high & long.MaxValue) >> 9), ((high & 0x1FF) << 43) | (low >> 21), (long)(low & 0x1F_FFFF));
            _extents++;
        }
    }

    private void Add(long position, ulong start, long count)
    {
        DemandNode(position >= NextPosition);
        long? place = _volume.Layout.Find(start, count);
        Unless(place is not null, $"XFS inode {_number} leads to blocks outside the file system");
        _count += count;
        Unless(_count <= _volume.Layout.Blocks, $"XFS inode {_number} has more blocks than the file system");
        long groupBlocks = _volume.Layout.GroupBlocks;
        if (_runs.Count > 0 && NextPosition == position && _runs[^1].Start + _runs[^1].Count == place && _runs[^1].Start / groupBlocks == place / groupBlocks)
        {
            _runs[^1] = _runs[^1] with { Count = _runs[^1].Count + count };
            return;
        }

        Unless(_runs.Count < RunsLimit, $"XFS inode {_number} is in more than {RunsLimit} pieces, more than Quench follows");
        _runs.Add(new DataRun(position, place!.Value, count));
    }

    private void DemandNode(bool isRight) => Unless(isRight, $"the extents of XFS inode {_number} are damaged");
}
