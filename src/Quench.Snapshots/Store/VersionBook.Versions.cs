namespace Quench.Snapshots.Store;

// Finding, adding and removing versions.
internal sealed partial class VersionBook
{
    /// <summary>The slot that holds a block for a snapshot; -1 when the origin does.</summary>
    private int Find(long block, uint number)
    {
        int found = None;
        for (int slot = _heads[Bucket(block)]; slot != None; slot = _next[slot])
        {
            Entry(slot, out long other, out uint key);
            if (other == block)
            {
                if (key < number)
                {
                    break;
                }

                found = slot;
            }
        }

        return found;
    }

    /// <summary>The largest key of a block's versions; 0 when it has none.</summary>
    private uint NewestKey(long block)
    {
        for (int slot = _heads[Bucket(block)]; slot != None; slot = _next[slot])
        {
            Entry(slot, out long other, out uint key);
            if (other == block)
            {
                return key;
            }
        }

        return 0;
    }

    /// <summary>The key of the version that is next older than the one in a slot; 0 when there is none.</summary>
    private uint OlderKey(int slot, long block)
    {
        for (slot = _next[slot]; slot != None; slot = _next[slot])
        {
            Entry(slot, out long other, out uint key);
            if (other == block)
            {
                return key;
            }
        }

        return 0;
    }

    private void Entry(int slot, out long block, out uint key)
    {
        if (!_table.TryRead(slot, out block, out key))
        {
            throw new InvalidOperationException($"store: slot {slot} is free, but a chain leads to it");
        }
    }

    /// <summary>Puts a version before the older ones of its block.</summary>
    private void InsertInOrder(int slot, long block, uint key)
    {
        ref int link = ref _heads[Bucket(block)];
        while (link != None)
        {
            Entry(link, out long other, out uint otherKey);
            if (other == block && otherKey < key)
            {
                break;
            }

            link = ref _next[link];
        }

        _next[slot] = link;
        link = slot;
    }

    private void AddToList(int slot, int record)
    {
        _sibling[slot] = _lists[record];
        _lists[record] = slot;
        _counts[record]++;
    }

    private int TakeFromList(int record)
    {
        int slot = _lists[record];
        _lists[record] = _sibling[slot];
        _counts[record]--;
        return slot;
    }

    /// <summary>Frees a version that is in no list any more.</summary>
    private void Remove(int slot, long block)
    {
        ref int link = ref _heads[Bucket(block)];
        while (link != slot)
        {
            link = ref _next[link];
        }

        link = _next[slot];
        _table.Clear(slot);
        Release(slot);
    }

    private void Release(int slot)
    {
        _free.Set(slot);
        FreeSlots++;
    }

    private int TakeFree()
    {
        long slot = _free.NextSet(_searchFrom);
        if (slot < 0)
        {
            slot = _free.NextSet(0);
        }

        _free.Clear(slot);
        FreeSlots--;
        _searchFrom = slot + 1;
        return (int)slot;
    }

    private int Bucket(long block)
    {
        ulong mixed = unchecked((ulong)block * 0x9E3779B97F4A7C15);
        return (int)(mixed >> 33) & (_heads.Length - 1);
    }
}
