using Quench.Blocks;
using Quench.Blocks.Buffers;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ext4;

/// <summary>
/// Draws the map: the block bitmaps, one bit a cluster, put together into one; the metadata of groups whose bitmap was never written;
/// and the bytes of the volume that no bitmap speaks of, before the first data block and after the last block.
/// </summary>
internal sealed class UsedBlockMap
{
    private const int BytesInOneRead = 1024 * 1024;
    private readonly Layout _layout;
    private readonly GroupTable _groups;
    private readonly UsedBlocks _used;

    private UsedBlockMap(Layout layout, GroupTable groups, long volumeLength)
    {
        _layout = layout;
        _groups = groups;
        _used = new UsedBlocks(volumeLength, layout.ClusterSize);
    }

    /// <summary>Reads all bitmaps.</summary>
    /// <exception cref="InDoubtException">A bitmap does not match its checksum, its group's free count, or the metadata known to be there.</exception>
    public static async ValueTask<UsedBlocks> DrawAsync(
        Layout layout, GroupTable groups, MetadataReader reader, long volumeLength, CancellationToken cancellationToken)
    {
        UsedBlockMap map = new(layout, groups, volumeLength);
        map._used.Add(new Extent(0, layout.FirstDataBlock * layout.BlockSize));
        map._used.Add(Extent.FromTo(layout.Length, volumeLength));
        map.AddClaimsOfUninitialisedGroups();
        await map.AddBitmapsAsync(reader, cancellationToken);
        map.RequireClaimsInUse();
        return map._used;
    }

    private async ValueTask AddBitmapsAsync(MetadataReader reader, CancellationToken cancellationToken)
    {
        int most = Math.Max(1, Math.Min(BytesInOneRead / _layout.BlockSize, _layout.Groups));
        using AlignedBufferPool pool = new(most * _layout.BlockSize, maxRetained: 0);
        using BufferLease lease = pool.Rent();
        for (int group = 0; group < _layout.Groups;)
        {
            int run = ConsecutiveFrom(group, most);
            Memory<byte> bitmaps = lease.Memory[..(run * _layout.BlockSize)];
            await reader.ReadAsync(_groups[group].Bitmap, bitmaps, cancellationToken);
            AddAll(group, run, bitmaps.Span);
            group += run;
        }
    }

    /// <summary>How many groups from one on keep their bitmaps in consecutive blocks, as they do under flex_bg.</summary>
    private int ConsecutiveFrom(int group, int most)
    {
        int run = 1;
        while (run < most && group + run < _layout.Groups && _groups[group + run].Bitmap == _groups[group].Bitmap + run)
        {
            run++;
        }

        return run;
    }

    private void AddAll(int firstGroup, int count, ReadOnlySpan<byte> bitmaps)
    {
        for (int index = 0; index < count; index++)
        {
            int group = firstGroup + index;
            if (!_groups[group].Uninitialised)
            {
                ReadOnlySpan<byte> bitmap = bitmaps.Slice(index * _layout.BlockSize, _layout.BlockSize);
                CheckChecksum(group, bitmap);
                Add(group, bitmap);
            }

            CheckFreeCount(group);
        }
    }

    private void CheckChecksum(int group, ReadOnlySpan<byte> bitmap)
    {
        if (_layout.Checksum.Metadata)
        {
            uint computed = Crc32c.Append(_layout.Checksum.Seed, bitmap[..(_layout.BlocksPerGroup / _layout.ClusterRatio / 8)]);
            uint kept = _layout.DescriptorSize >= GroupDescriptor.LargeSize ? computed : computed & 0xFFFF;
            Unless(kept == _groups[group].BitmapChecksum, $"the block bitmap of ext4 block group {group} does not match its checksum");
        }
    }

    private void Add(int group, ReadOnlySpan<byte> bitmap)
    {
        long first = FirstBit(group);
        BitRuns runs = new(bitmap, _layout.ClustersIn(group));
        while (runs.MoveNext())
        {
            _used.Bits.SetRange(first + runs.First, runs.Count);
        }
    }

    private void CheckFreeCount(int group)
    {
        int clusters = _layout.ClustersIn(group);
        long free = clusters - _used.Bits.CountSet(FirstBit(group), clusters);
        uint stated = _groups[group].FreeClusters;
        Unless(free == stated, $"ext4 block group {group} states {stated} free clusters; its bitmap has {free}");
    }

    private void AddClaimsOfUninitialisedGroups()
    {
        foreach ((long first, long count) in _groups.Claims.SetRuns())
        {
            for (long block = first; block < first + count;)
            {
                int group = (int)((block - _layout.FirstDataBlock) / _layout.BlocksPerGroup);
                long end = Math.Min(first + count, _layout.FirstBlockOf(group) + _layout.BlocksPerGroup);
                if (_groups[group].Uninitialised)
                {
                    _used.Add(Extent.FromTo(block * _layout.BlockSize, end * _layout.BlockSize));
                }

                block = end;
            }
        }
    }

    private void RequireClaimsInUse()
    {
        foreach ((long first, long count) in _groups.Claims.SetRuns())
        {
            long firstBit = first / _layout.ClusterRatio;
            long bits = ((first + count - 1) / _layout.ClusterRatio) - firstBit + 1;
            Unless(
                _used.Bits.CountSet(firstBit, bits) == bits,
                $"the ext4 file system counts blocks as free that hold its own metadata (among blocks {first} to {first + count - 1})");
        }
    }

    /// <summary>The map's bit for a group's first cluster. Clusters are counted from block 0: with bigalloc the first data block is 0.</summary>
    private long FirstBit(int group) => _layout.FirstBlockOf(group) / _layout.ClusterRatio;
}
