using System.Diagnostics;
using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>Where the old bytes of one block are.</summary>
internal enum BlockState
{
    /// <summary>Nowhere: not in use at the instant.</summary>
    Unused,

    /// <summary>Promised, and on the origin only.</summary>
    Unsaved,

    /// <summary>Promised, on the origin, and being copied to a slot right now.</summary>
    Saving,

    /// <summary>Promised, and in a slot.</summary>
    Saved,

    /// <summary>Nowhere: imaged, and not to be read again.</summary>
    Released,
}

/// <summary>
/// What one snapshot promises and where it keeps it. Made by <see cref="Prepare"/> before the instant, so that the instant itself costs
/// nothing;
/// afterwards only <see cref="CopyBeforeWrite"/> changes it, under the caller's one lock.
/// </summary>
internal sealed partial class SnapshotState
{
    // Each block is in at most one of the three sets; in none, it was not in use at the instant. Promised = unsaved ∪ saved.
    private readonly BlockBitmap _unsaved;  // promised, old bytes on the origin only: a write saves them first
    private readonly BlockBitmap _saved;    // promised, old bytes in the slot that _slotOf names; never goes back to unsaved
    private readonly BlockBitmap _released; // imaged: reading again is an error
    private readonly BlockBitmap _saving;   // ⊆ _unsaved: some write is copying the block to a slot that only its SaveRun names
    private readonly SlotMap _slotOf;       // has exactly the blocks of _saved
    private readonly DiffAreaSlots _slots;  // taken = |_saved| + |_saving| + _orphans
    private long _orphans;                  // slots being filled for blocks that were released meanwhile: freed when that save completes

    private SnapshotState(long volumeLength, int blockSize, DiffAreaLimits limits, OverflowPolicy overflow)
    {
        VolumeLength = volumeLength;
        BlockSize = blockSize;
        Limits = limits;
        Overflow = overflow;
        Blocks = (volumeLength + blockSize - 1) / blockSize;
        _unsaved = new BlockBitmap(Blocks);
        _saved = new BlockBitmap(Blocks);
        _released = new BlockBitmap(Blocks);
        _saving = new BlockBitmap(Blocks);
        _slotOf = new SlotMap(Blocks);
        _slots = new DiffAreaSlots(limits.RamSlots, limits.SpillSlots);
        _unsaved.SetRange(0, Blocks);
    }

    /// <summary>Bytes of the volume.</summary>
    public long VolumeLength { get; }

    /// <summary>Bytes of a block, which is also a slot.</summary>
    public int BlockSize { get; }

    /// <summary>How many blocks the volume has; the last may be cut short.</summary>
    public long Blocks { get; }

    /// <summary>What the diff area may hold.</summary>
    public DiffAreaLimits Limits { get; }

    /// <summary>Who pays when it is full.</summary>
    public OverflowPolicy Overflow { get; }

    /// <summary>Why it can no longer be read; null while it is sound. Set once.</summary>
    public BrokenReason? Broken { get; private set; }

    /// <summary>Whether it was let go of.</summary>
    public bool IsEnded { get; private set; }

    /// <summary>How many writes are filling slots of it right now.</summary>
    public int SavesInFlight { get; private set; }

    /// <summary>How many reads of it have begun and not ended.</summary>
    public int ReadsInFlight { get; private set; }

    /// <summary>
    /// Whether the memory and the spill file behind its slots may go: it has ended or is broken, and nobody is filling or reading a slot.
    /// Once it was true it is safe for good: no new save begins then, and a read that begins fails without looking at a slot.
    /// </summary>
    public bool CanFreeSlots => !IsSound && SavesInFlight == 0 && ReadsInFlight == 0;

    /// <summary>How full the diff area is. For a broken snapshot: as it was when it broke.</summary>
    public DiffAreaUsage Usage => new(
        _slots.Used * BlockSize, _slots.Total * BlockSize, _slots.Peak * BlockSize,
        _slots.Used > 0 && _slots.Used * 100 >= _slots.Total * Limits.HighMarkPercent);

    internal DiffAreaSlots Slots => _slots;

    internal long Orphans => _orphans;

    internal bool WasActivated { get; set; }

    private bool IsSound => Broken is null && !IsEnded;

    /// <summary>
    /// Builds the state of a snapshot that promises every block. Takes time and memory in proportion to the volume (2 bits, at most 4, for
    /// each block),
    /// so it is done before the file system is frozen and outside the lock.
    /// </summary>
    /// <param name="volumeLength">Bytes of the volume; as given to <see cref="CopyBeforeWrite"/>.</param>
    /// <param name="blockSize">Bytes; as given to <see cref="CopyBeforeWrite"/>.</param>
    /// <param name="limits">What the diff area may hold.</param>
    /// <param name="overflow">Who pays when it is full.</param>
    public static SnapshotState Prepare(long volumeLength, int blockSize, DiffAreaLimits limits, OverflowPolicy overflow)
    {
        CopyBeforeWrite.CheckGeometry(volumeLength, blockSize);
        ArgumentOutOfRangeException.ThrowIfLessThan(limits.HighMarkPercent, 1, nameof(limits));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limits.HighMarkPercent, 100, nameof(limits));
        return new SnapshotState(volumeLength, blockSize, limits, overflow);
    }

    /// <summary>Where the old bytes of a block are, as the books say; of no meaning once broken or ended.</summary>
    internal BlockState StateOf(long block) =>
        _saved[block] ? BlockState.Saved
        : _unsaved[block] ? (_saving[block] ? BlockState.Saving : BlockState.Unsaved)
        : _released[block] ? BlockState.Released
        : BlockState.Unused;

    /// <summary>The slot of a saved block; -1 when it is not saved.</summary>
    internal long SlotOf(long block) => _slotOf[block];

    /// <summary>Whether the sets exclude each other as their comments say.</summary>
    internal bool IsInOneSetOnly(long block) =>
        (_unsaved[block] ? 1 : 0) + (_saved[block] ? 1 : 0) + (_released[block] ? 1 : 0) <= 1 && (!_saving[block] || _unsaved[block]);

    internal void Break(BrokenReason reason)
    {
        if (IsSound)
        {
            Broken = reason;
        }
    }

    internal void End() => IsEnded = true;

    /// <summary>
    /// Takes the blocks out of the promise; the slots of the saved ones are free at once, those of the ones being saved when that
    /// completes.
    /// </summary>
    /// <returns>How many blocks had been promised.</returns>
    internal long Drop(long first, long end)
    {
        if (!IsSound)
        {
            return 0;
        }

        long saved = FreeSlots(first, end);
        long unsaved = _unsaved.CountSet(first, end - first);
        _orphans += _saving.CountSet(first, end - first);
        _saving.ClearRange(first, end - first);
        _unsaved.ClearRange(first, end - first);
        return saved + unsaved;
    }

    /// <summary>Drops the blocks and remembers that they were imaged.</summary>
    internal long Release(long first, long end)
    {
        if (!IsSound)
        {
            return 0;
        }

        long dropped = Drop(first, end);
        _released.SetRange(first, end - first);
        return dropped;
    }

    /// <summary>Fills a list with the extents of saved blocks, in order.</summary>
    internal int GetSaved(Span<Extent> into)
    {
        int found = 0;
        long block = IsSound ? _slotOf.SkipEmpty(0) : Blocks;
        while (block < Blocks && found < into.Length)
        {
            long first = _saved.NextSet(block, Math.Min(Blocks, block + 4096));
            if (first < Blocks && _saved[first])
            {
                block = _saved.NextClear(first, Blocks);
                into[found++] = ExtentOf(first, block);
            }
            else
            {
                block = first;
            }

            block = _slotOf.SkipEmpty(block);
        }

        return found;
    }

    /// <summary>The bytes of the blocks from one up to another, cut at the end of the volume.</summary>
    private Extent ExtentOf(long first, long end) => Extent.FromTo(first * BlockSize, Math.Min(end * BlockSize, VolumeLength));

    /// <summary>Takes the saved blocks of a range out of the diff area, a run of consecutive slots at a time.</summary>
    private long FreeSlots(long first, long end)
    {
        long freed = 0;
        for (long block = _saved.NextSet(first, end); block < end; block = _saved.NextSet(block, end))
        {
            long slot = _slotOf.Remove(block);
            long count = 1;
            while (block + count < end && _slotOf[block + count] == slot + count)
            {
                _ = _slotOf.Remove(block + count++);
            }

            _slots.Release(slot, count);
            freed += count;
            block += count;
        }

        _saved.ClearRange(first, end - first);
        Debug.Assert(_slots.Used >= _orphans, "every orphan has its slot");
        return freed;
    }
}
