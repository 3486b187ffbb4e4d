using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Btrfs;

/// <summary>From logical addresses to places on the device.</summary>
internal sealed class ChunkMap
{
    /// <summary>How many chunks a file system may have: a pebibyte at a gibibyte each.</summary>
    public const int MostChunks = 1 << 20;
    private readonly Chunk[] _chunks; // by address; none over another, neither there nor on the device
    private int _last;

    private ChunkMap(List<Chunk> chunks)
    {
        _chunks = [.. chunks];
    }

    public ReadOnlySpan<Chunk> Chunks => _chunks;

    /// <summary>The chunks in the superblock: those that hold the chunk tree.</summary>
    /// <exception cref="InDoubtException">They are not as they must be.</exception>
    public static ChunkMap OfSystem(Layout layout)
    {
        List<Chunk> chunks = [];
        ReadOnlySpan<byte> rest = layout.SystemChunks;
        while (rest.Length >= TreeKey.Size + Chunk.HeaderSize)
        {
            TreeKey key = TreeKey.Read(rest);
            rest = rest[TreeKey.Size..];
            int size = Chunk.SizeOf(rest);
            Unless(key.Type == ItemType.Chunk && size <= rest.Length, "the btrfs superblock's system chunks are not as they must be");
            chunks.Add(Chunk.FromItem(layout, key.Offset, rest[..size]));
            rest = rest[size..];
        }

        Unless(rest.IsEmpty, "the btrfs superblock's system chunks are cut off");
        Unless(chunks.TrueForAll(chunk => chunk.Types == ChunkTypes.System), "the btrfs superblock names a system chunk that is none");
        chunks.Sort((one, other) => one.Logical.CompareTo(other.Logical));
        return From(chunks);
    }

    /// <summary>A map of chunks sorted by address.</summary>
    /// <exception cref="InDoubtException">Two lie over one another.</exception>
    public static ChunkMap From(List<Chunk> chunks)
    {
        List<(long Start, long Length)> copies = [];
        long end = 0;
        foreach (Chunk chunk in chunks)
        {
            Unless(chunk.Logical >= end, $"the btrfs chunk at {chunk.Logical} lies over the one before it");
            end = chunk.End;
            copies.Add((chunk.First, chunk.Length));
            if (chunk.Second >= 0)
            {
                copies.Add((chunk.Second, chunk.Length));
            }
        }

        copies.Sort();
        for (int index = 1; index < copies.Count; index++)
        {
            Unless(copies[index - 1].Start + copies[index - 1].Length <= copies[index].Start, $"two btrfs chunks share the device's byte {copies[index].Start}");
        }

        return new ChunkMap(chunks);
    }

    /// <summary>The index of the chunk that holds all of an extent.</summary>
    /// <exception cref="InDoubtException">None does.</exception>
    public int Find(ulong logical, ulong length)
    {
        bool possible = logical <= Layout.MostPlace && length is > 0 and <= Layout.MostPlace;
        int index = possible ? IndexOf((long)logical) : -1;
        Unless(index >= 0 && (long)logical + (long)length <= _chunks[index].End, $"btrfs names an extent of {length} bytes at {logical}, where no chunk holds it");
        return index;
    }

    private int IndexOf(long logical)
    {
        if (_last < _chunks.Length && logical >= _chunks[_last].Logical && logical < _chunks[_last].End)
        {
            return _last;
        }

        int low = 0;
        int high = _chunks.Length;
        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            (low, high) = _chunks[middle].Logical <= logical ? (middle, high) : (low, middle);
        }

        bool holds = low < _chunks.Length && logical >= _chunks[low].Logical && logical < _chunks[low].End;
        _last = holds ? low : _last;
        return holds ? low : -1;
    }
}
