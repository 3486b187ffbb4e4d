using Quench.Blocks;
using static System.Buffers.Binary.BinaryPrimitives;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

// Of an extent's item, and of a block group's, the first 24 bytes are looked at. (btrfs documentation, "On-disk Format", EXTENT_ITEM, BLOCK_GROUP_ITEM)
//
//     extent       refs (8) ┬ generation (8) ──────┬ flags (8): 1 data, 2 tree block
//     block group  used (8) ┬ chunk_objectid (8) ──┬ flags (8): those of its chunk

/// <summary>Draws the map: nothing is in use but what the extent tree allocates, and what is no file system's to allocate.</summary>
internal sealed class AllocationMap
{
    /// <summary>The first MiB of a device belongs to boot loaders and the superblock; nothing is allocated there.</summary>
    private const long Reserved = 1 << 20;
    private const int ItemSize = 24;
    private const ulong DataExtent = 1;
    private const ulong TreeBlockExtent = 2;

    private readonly Layout _layout;
    private readonly ChunkMap _chunks;
    private readonly ulong[] _allocated; // of each chunk: bytes on the extent tree
    private readonly ulong?[] _stated; // of each chunk: bytes that its block group says are allocated
    private ulong _end;

    /// <summary>A map with nothing in use but what no extent tells of.</summary>
    /// <param name="layout">Checked.</param>
    /// <param name="chunks">All of them.</param>
    /// <param name="volumeLength">Bytes.</param>
    public AllocationMap(Layout layout, ChunkMap chunks, long volumeLength)
    {
        _layout = layout;
        _chunks = chunks;
        _allocated = new ulong[chunks.Chunks.Length];
        _stated = new ulong?[chunks.Chunks.Length];
        Used = new UsedBlocks(volumeLength, layout.SectorSize);
        Used.Add(new Extent(0, Math.Min(Reserved, volumeLength)));
        Used.Add(Extent.FromTo(layout.DeviceLength, volumeLength));
        foreach (long place in Superblock.Places)
        {
            if (place + Superblock.Size <= layout.DeviceLength)
            {
                Used.Add(new Extent(place, Superblock.Size));
            }
        }
    }

    public UsedBlocks Used { get; }

    /// <summary>Takes an item of the extent tree.</summary>
    public void TakeExtent(TreeKey key, ReadOnlySpan<byte> item)
    {
        switch (key.Type)
        {
            case ItemType.Extent:
                Allocate(key.ObjectId, key.Offset, item);
                break;
            case ItemType.Metadata:
                Unless(key.Offset < Layout.MostLevels, $"the btrfs tree block at {key.ObjectId} is allocated with an impossible level");
                Allocate(key.ObjectId, (ulong)_layout.NodeSize, item);
                break;
            case ItemType.BlockGroup when !_layout.HasBlockGroupTree:
                TakeGroup(key, item);
                break;
            default: // who refers to an extent
                break;
        }
    }

    /// <summary>Takes an item of whichever tree has the block groups.</summary>
    public void TakeGroup(TreeKey key, ReadOnlySpan<byte> item)
    {
        if (key.Type != ItemType.BlockGroup)
        {
            return;
        }

        int index = _chunks.Find(key.ObjectId, key.Offset);
        Chunk chunk = _chunks.Chunks[index];
        bool matches = chunk.Logical == (long)key.ObjectId && chunk.Length == (long)key.Offset && item.Length >= ItemSize
            && ((ChunkTypes)ReadUInt64LittleEndian(item[16..]) & ChunkTypes.Contents) == chunk.Types;
        Unless(matches, $"the btrfs block group at {key.ObjectId} is not as its chunk");
        _stated[index] = ReadUInt64LittleEndian(item);
    }

    /// <summary>Counts an extent as in use that is not on the extent tree yet.</summary>
    /// <returns>What its chunk holds.</returns>
    /// <exception cref="InDoubtException">It is in an impossible place.</exception>
    public ChunkTypes Add(ulong place, ulong length)
    {
        ulong mask = (ulong)_layout.SectorSize - 1;
        int index = _chunks.Find(place, length);
        Unless(((place | length) & mask) == 0, $"btrfs names an extent of {length} bytes at {place}: not whole sectors");
        Chunk chunk = _chunks.Chunks[index];
        long offset = (long)place - chunk.Logical;
        Used.Add(new Extent(chunk.First + offset, (long)length));
        if (chunk.Second >= 0)
        {
            Used.Add(new Extent(chunk.Second + offset, (long)length));
        }

        return chunk.Types;
    }

    /// <summary>Holds the sums against what the block groups and the superblock say, and the blocks that were read against the map.</summary>
    /// <exception cref="InDoubtException">They differ.</exception>
    public void Require(UsedBlocks claims)
    {
        ulong sum = 0;
        for (int index = 0; index < _allocated.Length; index++)
        {
            Unless(
                _stated[index] == _allocated[index],
                $"the btrfs block group at {_chunks.Chunks[index].Logical} states {_stated[index] ?? 0} bytes in use; the extent tree has {_allocated[index]}");
            sum += _allocated[index];
        }

        Unless(sum == _layout.BytesUsed, $"the btrfs superblock states {_layout.BytesUsed} bytes in use; the extent tree has {sum}");
        foreach ((long first, long count) in claims.Bits.SetRuns())
        {
            Unless(Used.Bits.CountSet(first, count) == count, $"the btrfs extent tree has byte {first * _layout.SectorSize} of the device free, where one of the trees is");
        }
    }

    private void Allocate(ulong place, ulong length, ReadOnlySpan<byte> item)
    {
        Unless(place >= _end && item.Length >= ItemSize, $"the btrfs extent at {place} lies over the one before it, or its item is cut off");
        ChunkTypes types = Add(place, length);
        _end = place + length;
        _allocated[_chunks.Find(place, length)] += length;
        ulong flags = ReadUInt64LittleEndian(item[16..]);
        ChunkTypes wanted = (flags & DataExtent) != 0 ? ChunkTypes.Data : ChunkTypes.Metadata | ChunkTypes.System;
        Unless((flags & (DataExtent | TreeBlockExtent)) is DataExtent or TreeBlockExtent && (types & wanted) != 0, $"the btrfs extent at {place} is of a kind that its chunk does not hold");
    }
}
