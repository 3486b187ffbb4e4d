namespace Quench.Vault.Index;

/// <summary>
/// Records in memory: 52 bytes each in pages that never move, and 5 to 11 bytes of a hash table. One thread adds at a time; any number may ask
/// meanwhile, without a lock. Ids are evenly distributed by nature, so their first bytes are their hash.
/// </summary>
/// <remarks>
/// An entry is written whole before a slot points at it, and never changes. A record that takes another's place is a new entry, and the slot moves
/// over in one step: whoever asks sees the old record or the new one. A larger table is filled before it is shown.
/// </remarks>
internal sealed class ChunkTable
{
    private const int PageBits = 11;
    private const int PageLength = 1 << PageBits;

    private volatile int[] _slots = new int[1024]; // entry + 1; 0 is empty; a power of two long; at most three quarters full
    private volatile Page[] _pages = []; // of which the first _entries / PageLength, rounded up, are there
    private int _entries; // the adder's own
    private int _ids;

    /// <summary>Entries, those included whose place another has taken: what costs memory.</summary>
    internal int Entries => Volatile.Read(ref _entries);

    /// <summary>Finds the record of an id.</summary>
    internal bool TryFind(ChunkId id, out IndexRecord record)
    {
        int[] slots = _slots;
        int mask = slots.Length - 1;
        int entry;
        for (int slot = SlotOf(id, mask); (entry = Volatile.Read(ref slots[slot]) - 1) >= 0; slot = (slot + 1) & mask)
        {
            Page page = _pages[entry >> PageBits];
            if (page.Ids[entry & (PageLength - 1)] == id)
            {
                record = page.Record(entry & (PageLength - 1));
                return true;
            }
        }

        record = default;
        return false;
    }

    /// <summary>Adds a record, or puts it in the place of the one with its id.</summary>
    internal void Set(in IndexRecord record)
    {
        int entry = Append(record);
        int[] slots = _slots;
        int mask = slots.Length - 1;
        int slot = SlotOf(record.Id, mask);
        while (slots[slot] != 0 && IdOf(slots[slot] - 1) != record.Id)
        {
            slot = (slot + 1) & mask;
        }

        bool isNew = slots[slot] == 0;
        Volatile.Write(ref slots[slot], entry + 1);
        if (isNew && ++_ids > slots.Length / 4 * 3)
        {
            Grow();
        }
    }

    /// <summary>The records in the order of their ids, one for each id. For the adder.</summary>
    internal IEnumerable<IndexRecord> Sorted()
    {
        ulong[] prefixes = new ulong[_ids];
        int[] entries = new int[_ids];
        int count = 0;
        foreach (int slot in _slots)
        {
            if (slot != 0)
            {
                prefixes[count] = IdOf(slot - 1).Prefix;
                entries[count++] = slot - 1;
            }
        }

        Array.Sort(prefixes, entries);
        PutEqualPrefixesInOrder(prefixes, entries);
        foreach (int entry in entries)
        {
            yield return _pages[entry >> PageBits].Record(entry & (PageLength - 1));
        }
    }

    /// <summary>Two ids with the same first eight bytes are all but impossible, and must be in order nevertheless.</summary>
    private void PutEqualPrefixesInOrder(ulong[] prefixes, int[] entries)
    {
        for (int i = 1; i < entries.Length; i++)
        {
            for (int at = i; at > 0 && prefixes[at] == prefixes[at - 1] && IdOf(entries[at]).CompareTo(IdOf(entries[at - 1])) < 0; at--)
            {
                (entries[at], entries[at - 1]) = (entries[at - 1], entries[at]);
            }
        }
    }

    private static int SlotOf(ChunkId id, int mask) => (int)(id.Prefix & (uint)mask);

    private ChunkId IdOf(int entry) => _pages[entry >> PageBits].Ids[entry & (PageLength - 1)];

    private int Append(in IndexRecord record)
    {
        int entry = _entries;
        Page[] pages = _pages;
        if ((entry >> PageBits) == pages.Length)
        {
            Array.Resize(ref pages, Math.Max(4, pages.Length * 2));
        }

        if ((entry & (PageLength - 1)) == 0)
        {
            pages[entry >> PageBits] = new Page();
            _pages = pages;
        }

        pages[entry >> PageBits].Write(entry & (PageLength - 1), record);
        Volatile.Write(ref _entries, entry + 1);
        return entry;
    }

    private void Grow()
    {
        int[] old = _slots;
        int[] larger = new int[old.Length * 2];
        int mask = larger.Length - 1;
        foreach (int slot in old)
        {
            if (slot != 0)
            {
                int at = SlotOf(IdOf(slot - 1), mask);
                while (larger[at] != 0)
                {
                    at = (at + 1) & mask;
                }

                larger[at] = slot;
            }
        }

        _slots = larger;
    }

    private sealed class Page
    {
        private readonly Place[] _places = new Place[PageLength];

        internal ChunkId[] Ids { get; } = new ChunkId[PageLength];

        internal IndexRecord Record(int at)
        {
            ref readonly Place place = ref _places[at];
            return new IndexRecord(Ids[at], place.Pack, place.Offset, place.SealedLength, place.Meta, place.Ordinal);
        }

        internal void Write(int at, in IndexRecord record)
        {
            Ids[at] = record.Id;
            _places[at] = new Place(record.Pack, record.Offset, record.SealedLength, record.Meta, record.Ordinal);
        }
    }

    private readonly record struct Place(int Pack, int Offset, int SealedLength, uint Meta, int Ordinal);
}
