namespace Quench.Snapshots.Store;

/// <summary>How many versions a snapshot needs.</summary>
/// <param name="Alone">Nobody else needs them: they are freed when it is deleted.</param>
/// <param name="Shared">Other snapshots need them too.</param>
internal readonly record struct HeldVersions(long Alone, long Shared);

// Letting go of snapshots, a few versions at a time.
internal sealed partial class VersionBook
{
    /// <summary>Lets go of a snapshot. Its slots come free by and by, in <see cref="Sweep"/>. False when there is none of that number.</summary>
    internal bool TryDelete(uint number)
    {
        int index = IndexOf(number);
        if (index < 0 || _records[index].State == RecordState.Deleting)
        {
            return false;
        }

        SetState(index, RecordState.Deleting, DropReason.None);
        FreeRecordIfSwept(index);
        return true;
    }

    /// <summary>
    /// Gives back versions of snapshots that have gone: each goes to the next older snapshot if that needs it, otherwise its slot is free.
    /// </summary>
    /// <param name="versions">The most versions to look at in this call.</param>
    /// <returns>Whether there is more to do.</returns>
    internal bool Sweep(int versions)
    {
        for (int index = 0; index < _records.Length && versions > 0; index++)
        {
            if (_records[index].State is not (RecordState.Deleting or RecordState.Dropped))
            {
                continue;
            }

            uint heir = NewestBelow(_records[index].Number);
            for (; _lists[index] != None && versions > 0; versions--)
            {
                Inherit(TakeFromList(index), heir);
            }

            FreeRecordIfSwept(index);
        }

        IsSweepNeeded = false;
        for (int index = 0; index < _records.Length; index++)
        {
            IsSweepNeeded |= _records[index].State is RecordState.Deleting or RecordState.Dropped && _lists[index] != None;
        }

        return IsSweepNeeded;
    }

    /// <summary>
    /// Counts, for some slots, which snapshots need them. The caller goes through all slots in steps and lets go of its lock between two, so the sums
    /// are of no one moment: figures for people.
    /// </summary>
    /// <param name="firstSlot">Where to begin.</param>
    /// <param name="count">How many slots to look at.</param>
    /// <param name="sums">By place of the snapshot in <paramref name="numbers"/>; added to.</param>
    /// <param name="numbers">The readable snapshots, ascending.</param>
    internal void Measure(int firstSlot, int count, ReadOnlySpan<uint> numbers, Span<HeldVersions> sums)
    {
        for (int slot = firstSlot; slot < Math.Min(Geometry.Slots, firstSlot + count); slot++)
        {
            if (_free[slot] || !_table.TryRead(slot, out long block, out uint key))
            {
                continue; // free, or being copied to
            }

            uint older = OlderKey(slot, block);
            int first = 0;
            while (first < numbers.Length && numbers[first] <= older)
            {
                first++;
            }

            int end = first;
            while (end < numbers.Length && numbers[end] <= key)
            {
                end++;
            }

            for (int at = first; at < end; at++)
            {
                sums[at] = end - first == 1 ? sums[at] with { Alone = sums[at].Alone + 1 } : sums[at] with { Shared = sums[at].Shared + 1 };
            }
        }
    }

    private void Inherit(int slot, uint heir)
    {
        Entry(slot, out long block, out _);
        if (heir != 0 && OlderKey(slot, block) < heir)
        {
            _table.Rekey(slot, heir);
            AddToList(slot, IndexOf(heir));
        }
        else
        {
            Remove(slot, block);
        }
    }

    private void FreeRecordIfSwept(int index)
    {
        if (_records[index].State == RecordState.Deleting && _lists[index] == None)
        {
            Store(index, default);
        }
    }
}
