namespace Quench.Snapshots.Engine;

/// <summary>
/// Which slot holds which block: a table of pages. A page comes with its first entry and goes with its last, so memory follows what is saved:
/// 16 KiB for each 4096 blocks that hold any, and 12 bytes for each 4096 that hold none.
/// </summary>
internal sealed class SlotMap
{
    private const int PageShift = 12;
    private const int PageSize = 1 << PageShift;
    private const int SparePages = 16;

    private readonly int[]?[] _pages;            // an entry is the slot + 1; 0 means none
    private readonly int[] _entries;             // how many entries of each page are in use; the page is there when not 0
    private readonly Stack<int[]> _spare = new(); // pages with all entries 0, kept for reuse

    /// <summary>An empty map.</summary>
    /// <param name="blocks">How many blocks the volume has.</param>
    public SlotMap(long blocks)
    {
        Blocks = blocks;
        _pages = new int[]?[(blocks + PageSize - 1) / PageSize];
        _entries = new int[_pages.Length];
    }

    /// <summary>How many blocks the volume has.</summary>
    public long Blocks { get; }

    /// <summary>The slot of a block; -1 when it has none.</summary>
    public long this[long block] => (_pages[block >> PageShift]?[block & (PageSize - 1)] ?? 0) - 1L;

    /// <summary>Says where a block is. It must not be anywhere yet.</summary>
    public void Add(long block, long slot)
    {
        long number = block >> PageShift;
        int[] page = _pages[number] ??= _spare.TryPop(out int[]? spare) ? spare : new int[PageSize];
        ref int entry = ref page[block & (PageSize - 1)];
        if (entry != 0)
        {
            throw new InvalidOperationException($"diff area: block {block} is in slot {entry - 1} already");
        }

        entry = checked((int)slot + 1);
        _entries[number]++;
    }

    /// <summary>Forgets a block and answers the slot it was in. It must be in one.</summary>
    public long Remove(long block)
    {
        long number = block >> PageShift;
        int slot = (_pages[number]?[block & (PageSize - 1)] ?? 0) - 1;
        if (slot < 0)
        {
            throw new InvalidOperationException($"diff area: block {block} is in no slot");
        }

        _pages[number]![block & (PageSize - 1)] = 0;
        if (--_entries[number] == 0)
        {
            DropPage(number);
        }

        return slot;
    }

    /// <summary>The first block at or after one that may have a slot: skips pages that hold none. <see cref="Blocks"/> when there is no such page.</summary>
    public long SkipEmpty(long block)
    {
        if (block >= Blocks || _pages[block >> PageShift] is not null)
        {
            return Math.Min(block, Blocks);
        }

        long number = block >> PageShift;
        while (number < _pages.Length && _pages[number] is null)
        {
            number++;
        }

        return Math.Min(number << PageShift, Blocks);
    }

    private void DropPage(long number)
    {
        if (_spare.Count < SparePages)
        {
            _spare.Push(_pages[number]!);
        }

        _pages[number] = null;
    }
}
