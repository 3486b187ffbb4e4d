using Quench.FileSystems;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Tests.FileSystems.Btrfs;

/// <summary>A freshly made btrfs with CRC-32C in memory, to be changed: its trees decoded here once more.</summary>
internal sealed class BtrfsImage
{
    public const int SuperblockPlace = 64 << 10;
    public const int SuperblockSize = 4096;
    public const int HeaderSize = 101;
    public const int EntrySize = 25;
    private readonly List<(long Logical, long Length, long[] Copies)> _chunks = [];

    public BtrfsImage(byte[] bytes)
    {
        Bytes = bytes;
        int at = SuperblockPlace + 0x32B;
        AddChunk(ReadInt64LittleEndian(bytes.AsSpan(at + 9)), bytes.AsSpan(at + 17));
        foreach (int leaf in Leaves(ChunkTree))
        {
            foreach ((ulong _, byte type, ulong offset, byte[] item) in Items(leaf))
            {
                if (type == 228 && (long)offset != _chunks[0].Logical)
                {
                    AddChunk((long)offset, item);
                }
            }
        }
    }

    public byte[] Bytes { get; }

    public int NodeSize => ReadInt32LittleEndian(Bytes.AsSpan(SuperblockPlace + 0x94));

    public long RootTree => ReadInt64LittleEndian(Bytes.AsSpan(SuperblockPlace + 0x50));

    public long ChunkTree => ReadInt64LittleEndian(Bytes.AsSpan(SuperblockPlace + 0x58));

    /// <summary>The root of the extent tree.</summary>
    public long ExtentTree => TreeOf(2);

    /// <summary>Where the first copy of a logical address is.</summary>
    public int PlaceOf(long logical) => (int)CopiesOf(logical)[0];

    /// <summary>Where all copies of a logical address are.</summary>
    public long[] CopiesOf(long logical)
    {
        (long start, _, long[] copies) = _chunks.First(chunk => logical >= chunk.Logical && logical < chunk.Logical + chunk.Length);
        return [.. copies.Select(copy => copy + logical - start)];
    }

    /// <summary>The root of a tree, by its number.</summary>
    public long TreeOf(ulong number)
    {
        byte[] item = Leaves(RootTree).SelectMany(Items).First(item => item.ObjectId == number && item.Type == 132).Item;
        return ReadInt64LittleEndian(item.AsSpan(176));
    }

    /// <summary>All blocks of a tree, from its root down: places in the image.</summary>
    public IEnumerable<int> Blocks(long logical)
    {
        int place = PlaceOf(logical);
        yield return place;
        for (int index = 0; Bytes[place + 0x64] > 0 && index < CountAt(place); index++)
        {
            foreach (int below in Blocks(ReadInt64LittleEndian(Bytes.AsSpan(place + HeaderSize + (index * 33) + 17))))
            {
                yield return below;
            }
        }
    }

    /// <summary>The leaves of a tree.</summary>
    public IEnumerable<int> Leaves(long logical) => Blocks(logical).Where(place => Bytes[place + 0x64] == 0);

    public int CountAt(int place) => ReadInt32LittleEndian(Bytes.AsSpan(place + 0x60));

    public IEnumerable<(ulong ObjectId, byte Type, ulong Offset, byte[] Item)> Items(int place)
    {
        for (int index = 0; index < CountAt(place); index++)
        {
            int entry = place + HeaderSize + (index * EntrySize);
            int offset = ReadInt32LittleEndian(Bytes.AsSpan(entry + 17));
            yield return (ReadUInt64LittleEndian(Bytes.AsSpan(entry)), Bytes[entry + 8], ReadUInt64LittleEndian(Bytes.AsSpan(entry + 9)),
                Bytes.AsSpan(place + HeaderSize + offset, ReadInt32LittleEndian(Bytes.AsSpan(entry + 21))).ToArray());
        }
    }

    /// <summary>Where in the image the data of the first item of a type are.</summary>
    public int DataOf(long tree, byte type)
    {
        foreach (int leaf in Leaves(tree))
        {
            for (int entry = leaf + HeaderSize; entry < leaf + HeaderSize + (CountAt(leaf) * EntrySize); entry += EntrySize)
            {
                if (Bytes[entry + 8] == type)
                {
                    return leaf + HeaderSize + ReadInt32LittleEndian(Bytes.AsSpan(entry + 17));
                }
            }
        }

        throw new InvalidOperationException($"no item of type {type}");
    }

    /// <summary>Fills a leaf anew, in all of its copies.</summary>
    public void Write(long logical, ulong owner, IReadOnlyList<(ulong ObjectId, byte Type, ulong Offset, byte[] Item)> items)
    {
        foreach (int place in CopiesOf(logical).Select(copy => (int)copy))
        {
            Bytes.AsSpan(place + HeaderSize, NodeSize - HeaderSize).Clear();
            WriteUInt64LittleEndian(Bytes.AsSpan(place + 0x58), owner);
            WriteInt32LittleEndian(Bytes.AsSpan(place + 0x60), items.Count);
            int end = NodeSize - HeaderSize;
            for (int index = 0; index < items.Count; index++)
            {
                int entry = place + HeaderSize + (index * EntrySize);
                end -= items[index].Item.Length;
                WriteUInt64LittleEndian(Bytes.AsSpan(entry), items[index].ObjectId);
                Bytes[entry + 8] = items[index].Type;
                WriteUInt64LittleEndian(Bytes.AsSpan(entry + 9), items[index].Offset);
                WriteInt32LittleEndian(Bytes.AsSpan(entry + 17), end);
                WriteInt32LittleEndian(Bytes.AsSpan(entry + 21), items[index].Item.Length);
                items[index].Item.CopyTo(Bytes.AsSpan(place + HeaderSize + end));
            }

            Seal(Bytes, place, NodeSize);
        }
    }

    /// <summary>Makes a block's checksum right again.</summary>
    public static void Seal(byte[] image, int place, int length) =>
        WriteUInt32LittleEndian(image.AsSpan(place), ~Crc32c.Append(uint.MaxValue, image.AsSpan(place + 32, length - 32)));

    private void AddChunk(long logical, ReadOnlySpan<byte> item)
    {
        long[] copies = new long[ReadUInt16LittleEndian(item[0x2C..])];
        for (int copy = 0; copy < copies.Length; copy++)
        {
            copies[copy] = ReadInt64LittleEndian(item[(0x30 + (copy * 32) + 8)..]);
        }

        _chunks.Add((logical, ReadInt64LittleEndian(item), copies));
    }
}
