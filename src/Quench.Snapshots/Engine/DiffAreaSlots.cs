using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>
/// Which slots of a diff area are taken. Slots from 0 are in memory, those from <see cref="RamSlots"/> on in the spill file; memory goes first,
/// and low numbers before high ones, so that memory and file stay as small as their content.
/// </summary>
/// <remarks>Freeing what is not taken throws, in every build: a slot with two owners would be a wrong image.</remarks>
internal sealed class DiffAreaSlots
{
    private readonly BlockBitmap _taken;
    private Region _ram;
    private Region _spill;

    /// <summary>A diff area with all slots free.</summary>
    public DiffAreaSlots(long ramSlots, long spillSlots)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ramSlots);
        ArgumentOutOfRangeException.ThrowIfNegative(spillSlots);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ramSlots + spillSlots, int.MaxValue, nameof(spillSlots));
        _taken = new BlockBitmap(ramSlots + spillSlots);
        _ram = new Region(0, ramSlots);
        _spill = new Region(ramSlots, ramSlots + spillSlots);
    }

    /// <summary>How many slots are in memory.</summary>
    public long RamSlots => _ram.End;

    /// <summary>How many slots there are.</summary>
    public long Total => _taken.Length;

    /// <summary>How many are taken.</summary>
    public long Used { get; private set; }

    /// <summary>The most that have been taken at once.</summary>
    public long Peak { get; private set; }

    /// <summary>How many can still be taken.</summary>
    public long Free => Total - Used;

    /// <summary>Whether a slot is taken.</summary>
    public bool IsTaken(long slot) => _taken[slot];

    /// <summary>Takes a run of consecutive slots, all in memory or all in the spill file.</summary>
    /// <param name="wanted">How many would be best; at least 1.</param>
    /// <param name="first">The first slot taken.</param>
    /// <param name="count">How many were taken: 1 to <paramref name="wanted"/>.</param>
    /// <returns>False, with nothing taken, when none is free.</returns>
    public bool TryTake(long wanted, out long first, out long count)
    {
        if (!TryTake(ref _ram, wanted, out first, out count) && !TryTake(ref _spill, wanted, out first, out count))
        {
            return false;
        }

        Used += count;
        Peak = Math.Max(Peak, Used);
        return true;
    }

    /// <summary>Gives a run of slots back. It may cross from memory into the spill file.</summary>
    public void Release(long first, long count)
    {
        if (_taken.CountSet(first, count) != count)
        {
            throw new InvalidOperationException($"diff area: of {count} slots from {first} some are freed that nobody has");
        }

        _taken.ClearRange(first, count);
        Used -= count;
        _ram.Return(first, count);
        _spill.Return(first, count);
    }

    private bool TryTake(ref Region region, long wanted, out long first, out long count)
    {
        if (region.Free == 0)
        {
            (first, count) = (0, 0);
            return false;
        }

        first = _taken.NextClear(region.LowestFree, region.End);
        long end = _taken.NextSet(first, Math.Min(region.End, first + wanted));
        count = end - first;
        _taken.SetRange(first, count);
        region.Free -= count;
        region.LowestFree = end;
        return true;
    }

    /// <summary>One kind of slots: the numbers from Start up to End.</summary>
    private struct Region(long start, long end)
    {
        public readonly long Start = start;
        public readonly long End = end;
        public long Free = end - start;
        public long LowestFree = start; // no slot of the region below it is free

        public void Return(long first, long count)
        {
            long from = Math.Max(first, Start);
            long until = Math.Min(first + count, End);
            if (from < until)
            {
                Free += until - from;
                LowestFree = Math.Min(LowestFree, from);
            }
        }
    }
}
