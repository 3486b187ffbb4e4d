using Quench.Blocks;
using Quench.FileSystems.Xfs.Log;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Files;

/// <summary>A file system whose log holds nothing that is not in its place: reads inodes and other blocks of metadata by their numbers, and counts the blocks. Not thread-safe.</summary>
/// <param name="volume">Lent.</param>
/// <param name="layout">Checked.</param>
/// <param name="numbers">How inodes are numbered, and how folders lie.</param>
/// <param name="used">The blocks in use.</param>
/// <param name="mostBlocks">How many may be read.</param>
internal sealed class XfsVolume(IBlockReader volume, Layout layout, InodeNumbers numbers, BlockBitmap used, long mostBlocks)
{
    private const int BytesKept = 4 << 20; // of blocks of inodes: neighbours in a folder mostly are neighbours there

    private readonly Dictionary<long, byte[]> _kept = [];
    private readonly int _mostKept = Math.Max(16, BytesKept / layout.BlockSize);
    private long _read;

    /// <summary>Whether more was read than may be: what was found so far means nothing then.</summary>
    public bool IsExhausted => _read > Math.Min(mostBlocks, layout.Blocks);

    /// <summary>Where everything lies.</summary>
    public Layout Layout => layout;

    /// <summary>How inodes are numbered, and how folders lie.</summary>
    public InodeNumbers Numbers => numbers;

    /// <summary>Opens one.</summary>
    /// <exception cref="InDoubtException">It can't be trusted.</exception>
    public static async ValueTask<XfsVolume> OpenAsync(IBlockReader volume, long mostBlocks, CancellationToken cancellationToken)
    {
        byte[] superblock = new byte[Superblock.Size];
        Unless(await VolumeBytes.TryReadAsync(volume, 0, superblock, cancellationToken) && new Superblock(superblock).Magic == Superblock.ExpectedMagic, "there is no XFS file system any more");
        Layout layout = Layout.From(new Superblock(superblock), volume.Geometry.Length);
        superblock = await XfsAnalyser.ReadSectorAsync(volume, layout, cancellationToken);
        InodeNumbers numbers = InodeNumbers.From(new Superblock(superblock), layout);
        LogState log = await LogReader.ReadAsync(layout, volume, superblock, cancellationToken);
        Unless(log != LogState.Pending, "the XFS log holds changes that are not in their places yet");
        UsedBlocks used = await FreeSpaceMap.DrawAsync(layout, volume, log == LogState.Clean, cancellationToken);
        return new XfsVolume(volume, layout, numbers, used.Bits, mostBlocks);
    }

    /// <summary>Whether blocks can be a file's: they are in use, and neither a group's headers nor the log.</summary>
    public bool CanBeData(long first, long count)
    {
        int group = (int)(first / layout.GroupBlocks);
        return used.CountSet(first, count) == count && first >= layout.FirstBlockOf(group) + layout.HeaderBlocks
            && (first + count <= layout.LogBlock || first >= layout.LogBlock + layout.LogBlocks);
    }

    /// <summary>Reads an inode and checks it.</summary>
    /// <exception cref="InDoubtException">There is none of that number, or it does not match its checksum.</exception>
    public async ValueTask<byte[]> ReadInodeAsync(ulong number, CancellationToken cancellationToken)
    {
        long? place = number <= long.MaxValue ? layout.Find(number >> numbers.PerBlockLog, 1) : null;
        Unless(place is { } found && CanBeData(found, 1), $"XFS inode {number} lies outside the file system");
        byte[] block = await ReadKeptAsync(place!.Value, cancellationToken);
        byte[] inode = block.AsSpan((int)(number & ((1UL << numbers.PerBlockLog) - 1)) * numbers.InodeSize, numbers.InodeSize).ToArray();
        new XfsInode(inode).Check(layout, number);
        return inode;
    }

    /// <summary>Reads one block that an inode leads to.</summary>
    /// <param name="block">Counted from the volume's start.</param>
    /// <param name="into">A block.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InDoubtException">Too many were read.</exception>
    public async ValueTask ReadBlockAsync(long block, Memory<byte> into, CancellationToken cancellationToken)
    {
        _read++;
        Unless(!IsExhausted, $"more than {Math.Min(mostBlocks, layout.Blocks)} blocks of folders and inodes would have to be read");
        await VolumeBytes.ReadAsync(volume, block * layout.BlockSize, into, cancellationToken);
    }

    private async ValueTask<byte[]> ReadKeptAsync(long block, CancellationToken cancellationToken)
    {
        if (_kept.TryGetValue(block, out byte[]? known))
        {
            return known;
        }

        byte[] bytes = new byte[layout.BlockSize];
        await ReadBlockAsync(block, bytes, cancellationToken);
        if (_kept.Count >= _mostKept)
        {
            _kept.Clear();
        }

        _kept[block] = bytes;
        return bytes;
    }
}
