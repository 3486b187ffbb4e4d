namespace Quench.Snapshots.Store;

/// <summary>What a write must do next.</summary>
internal enum StoreStep
{
    /// <summary>Everything that a snapshot needs of the blocks it overwrites is kept: it may land.</summary>
    Land,

    /// <summary>Copy the blocks of the batch into its slots, then complete the batch.</summary>
    Save,

    /// <summary>Another write is copying a block of it: ask again when a batch was completed.</summary>
    Wait,
}

/// <summary>
/// One write on its way through the store, and the run of blocks that it is saving. Lent by <see cref="VersionBook.BeginWrite"/> and taken back
/// by <see cref="VersionBook.EndWrite"/>.
/// </summary>
internal sealed class SaveBatch
{
    /// <summary>The most blocks of one batch: 1 MiB of 4 KiB blocks, the largest write that comes in one piece.</summary>
    internal const int MaxBlocks = 256;

    private readonly int[] _slots = new int[MaxBlocks];

    /// <summary>The first block to copy.</summary>
    internal long First { get; private set; }

    /// <summary>The slots to copy to, in order of blocks; empty unless the last step was <see cref="StoreStep.Save"/>.</summary>
    internal ReadOnlySpan<int> Slots => _slots.AsSpan(0, Count);

    internal int Count { get; private set; }

    /// <summary>No block of the write before this one needs saving.</summary>
    internal long Cursor { get; set; }

    internal long End { get; private set; }

    /// <summary>Whether the content of one of its slots was lost before the batch was complete.</summary>
    internal bool IsSpoiled { get; set; }

    internal void Begin(long first, long end)
    {
        Cursor = first;
        End = end;
        Clear();
    }

    internal void Add(long block, int slot)
    {
        First = Count == 0 ? block : First;
        _slots[Count++] = slot;
    }

    internal void Clear()
    {
        Count = 0;
        IsSpoiled = false;
    }

    internal bool IsSaving(long block) => block >= First && block < First + Count;
}
