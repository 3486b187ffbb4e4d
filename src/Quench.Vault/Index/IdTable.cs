using System.Numerics;

namespace Quench.Vault.Index;

/// <summary>
/// Ids numbered in the order they came: 32 bytes each in pages that never move, and 5 to 11 bytes of a hash table. No object for each id.
/// Not thread-safe. Ids are evenly distributed by nature, so their first bytes are their hash.
/// </summary>
internal sealed class IdTable
{
    private const int PageBits = 11;
    private const int PageLength = 1 << PageBits;

    private readonly List<ChunkId[]> _pages = [];
    private int[] _slots = new int[1024]; // ordinal + 1; 0 is empty; a power of two long; at most three quarters full

    internal int Count { get; private set; }

    /// <summary>The id at a number.</summary>
    internal ChunkId this[int ordinal] => _pages[ordinal >> PageBits][ordinal & (PageLength - 1)];

    /// <summary>The number of an id; -1 when it is not there.</summary>
    internal int Find(ChunkId id)
    {
        int slot = SlotOf(id);
        return _slots[slot] - 1;
    }

    /// <summary>Adds an id.</summary>
    /// <param name="id">The id.</param>
    /// <param name="ordinal">Its number, new or not.</param>
    /// <returns>False when it was there.</returns>
    internal bool TryAdd(ChunkId id, out int ordinal)
    {
        int slot = SlotOf(id);
        ordinal = _slots[slot] - 1;
        if (ordinal >= 0)
        {
            return false;
        }

        ordinal = Count++;
        if ((ordinal >> PageBits) == _pages.Count)
        {
            _pages.Add(new ChunkId[PageLength]);
        }

        _pages[ordinal >> PageBits][ordinal & (PageLength - 1)] = id;
        _slots[slot] = ordinal + 1;
        if (Count > _slots.Length / 4 * 3)
        {
            Grow();
        }

        return true;
    }

    /// <summary>The slot that holds an id, or the empty one where it belongs.</summary>
    private int SlotOf(ChunkId id)
    {
        int mask = _slots.Length - 1;
        int slot = (int)(id.Prefix & (uint)mask);
        while (_slots[slot] != 0 && this[_slots[slot] - 1] != id)
        {
            slot = (slot + 1) & mask;
        }

        return slot;
    }

    private void Grow()
    {
        int[] old = _slots;
        _slots = new int[(int)BitOperations.RoundUpToPowerOf2((uint)old.Length + 1)];
        int mask = _slots.Length - 1;
        foreach (int entry in old)
        {
            if (entry != 0)
            {
                int slot = (int)(this[entry - 1].Prefix & (uint)mask);
                while (_slots[slot] != 0)
                {
                    slot = (slot + 1) & mask;
                }

                _slots[slot] = entry;
            }
        }
    }
}
