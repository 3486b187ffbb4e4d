using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>
/// Reads inodes and other blocks of metadata by their numbers, and counts the blocks. A file system has no more of them than blocks, so a count beyond that shows one that leads in circles.
/// Not thread-safe.
/// </summary>
/// <param name="layout">Where everything lies.</param>
/// <param name="groups">All group descriptors.</param>
/// <param name="reader">Lent.</param>
/// <param name="mostBlocks">How many may be read.</param>
internal sealed class InodeReader(Layout layout, GroupTable groups, MetadataReader reader, long mostBlocks)
{
    private const int BytesKept = 4 << 20; // of inode tables: neighbours in a folder mostly are neighbours there

    private readonly Dictionary<long, byte[]> _kept = [];
    private readonly int _mostKept = Math.Max(16, BytesKept / layout.BlockSize);
    private long _read;

    /// <summary>Whether more was read than may be: what was found so far means nothing then.</summary>
    public bool IsExhausted => _read > Math.Min(mostBlocks, layout.Blocks);

    /// <summary>Where everything lies.</summary>
    public Layout Layout => layout;

    /// <summary>Reads an inode and checks it.</summary>
    /// <returns>The inode's bytes, and what the checksums of its blocks start from.</returns>
    /// <exception cref="InDoubtException">There is none of that number, or it does not match its checksum.</exception>
    public async ValueTask<(byte[] Inode, uint Seed)> ReadInodeAsync(uint number, CancellationToken cancellationToken)
    {
        Unless(number > 0 && (number - 1) / (uint)layout.InodesPerGroup < (uint)layout.Groups, $"ext4 inode {number} lies outside the file system");
        int group = (int)((number - 1) / (uint)layout.InodesPerGroup);
        long offset = (number - 1) % (uint)layout.InodesPerGroup * (long)layout.InodeSize;
        byte[] block = await ReadTableAsync(groups[group].InodeTable + (offset / layout.BlockSize), cancellationToken);
        byte[] inode = block.AsSpan((int)(offset % layout.BlockSize), layout.InodeSize).ToArray();
        uint seed = new Inode(inode).ChecksumSeed(layout.Checksum.Seed, number);
        Unless(!layout.Checksum.Metadata || new Inode(inode).HasChecksum(seed), $"ext4 inode {number} does not match its checksum");
        return (inode, seed);
    }

    /// <summary>Reads one block that an inode leads to.</summary>
    /// <exception cref="InDoubtException">It lies outside the file system, or too many were read.</exception>
    public async ValueTask<byte[]> ReadBlockAsync(ulong block, CancellationToken cancellationToken)
    {
        Unless(block >= (ulong)layout.FirstDataBlock && block < (ulong)layout.Blocks, $"ext4 block {block}, which an inode leads to, lies outside the file system");
        Count();
        byte[] bytes = new byte[layout.BlockSize];
        await reader.ReadAsync((long)block, bytes, cancellationToken);
        return bytes;
    }

    private async ValueTask<byte[]> ReadTableAsync(long block, CancellationToken cancellationToken)
    {
        if (_kept.TryGetValue(block, out byte[]? known))
        {
            return known;
        }

        Count();
        byte[] bytes = new byte[layout.BlockSize];
        await reader.ReadAsync(block, bytes, cancellationToken);
        if (_kept.Count >= _mostKept)
        {
            _kept.Clear();
        }

        _kept[block] = bytes;
        return bytes;
    }

    private void Count()
    {
        _read++;
        Unless(!IsExhausted, $"more than {Math.Min(mostBlocks, layout.Blocks)} blocks of folders and inodes would have to be read");
    }
}
