namespace Quench.Snapshots.Store;

// What a write does: ask what to keep, copy it, say so.
internal sealed partial class VersionBook
{
    private const int SweepAtOnce = 64; // what a write that finds no free slot does of it at a time

    /// <summary>Announces a write of the blocks from one up to, not including, another.</summary>
    internal SaveBatch BeginWrite(long firstBlock, long endBlock)
    {
        SaveBatch batch = _idle.TryPop(out SaveBatch? idle) ? idle : new SaveBatch();
        batch.Begin(firstBlock, endBlock);
        return batch;
    }

    /// <summary>The write's next step; ask again after each save and each wait, until it says land.</summary>
    internal StoreStep Next(SaveBatch batch)
    {
        while (batch.Cursor < batch.End && (Newest == 0 || NewestKey(batch.Cursor) >= Newest))
        {
            batch.Cursor = Newest == 0 ? batch.End : batch.Cursor + 1;
        }

        if (batch.Cursor == batch.End)
        {
            return StoreStep.Land;
        }

        if (IsBeingSaved(batch.Cursor))
        {
            return StoreStep.Wait;
        }

        for (long block = batch.Cursor; IsToSave(batch, block); block++)
        {
            int slot = TakeSlot();
            if (slot == None)
            {
                GiveBack(batch);
                return StoreStep.Land; // no snapshot is left that would need it
            }

            batch.Add(block, slot);
        }

        _saving.Add(batch);
        return StoreStep.Save;
    }

    /// <summary>The blocks of the batch are in their slots.</summary>
    internal void CompleteSave(SaveBatch batch)
    {
        if (batch.IsSpoiled)
        {
            FailSave(batch, DropReason.SaveFailed);
            return;
        }

        _saving.Remove(batch);
        for (int index = 0; index < batch.Count; index++)
        {
            long block = batch.First + index;
            int slot = batch.Slots[index];

            // Since the batch began, snapshots may have gone, but none can have come: the write is in flight.
            if (Newest != 0 && NewestKey(block) < Newest)
            {
                _table.Write(slot, block, Newest);
                InsertInOrder(slot, block, Newest);
                AddToList(slot, IndexOf(Newest));
                SavedTotal++;
            }
            else
            {
                Release(slot);
            }
        }

        batch.Cursor = batch.First + batch.Count;
        batch.Clear();
    }

    /// <summary>At least one block of the batch is not in its slot: the snapshots that need one are dropped, and the write goes on.</summary>
    internal void FailSave(SaveBatch batch, DropReason reason)
    {
        _saving.Remove(batch);
        uint oldest = uint.MaxValue;
        for (int index = 0; index < batch.Count; index++)
        {
            oldest = Math.Min(oldest, NewestKey(batch.First + index));
        }

        DropNewerThan(oldest, reason);
        GiveBack(batch);
    }

    /// <summary>
    /// The content of slots did not reach its place, after whoever saved it had gone on: the snapshots that need it are dropped. A batch that has not told
    /// of the slot yet fails when it does.
    /// </summary>
    internal void Lose(int firstSlot, int count, DropReason reason)
    {
        for (int slot = firstSlot; slot < firstSlot + count; slot++)
        {
            if (IsTaken(slot))
            {
                Entry(slot, out long block, out uint key);
                DropBetween(OlderKey(slot, block), key, reason);
            }
            else
            {
                Spoil(slot);
            }
        }
    }

    /// <summary>The write has landed or was given up.</summary>
    internal void EndWrite(SaveBatch batch) => _idle.Push(batch);

    /// <summary>Drops every snapshot with a larger number than this.</summary>
    internal void DropNewerThan(uint number, DropReason reason) => DropBetween(number, uint.MaxValue, reason);

    /// <summary>Drops every snapshot with a number larger than one, and not larger than another.</summary>
    private void DropBetween(uint number, uint last, DropReason reason)
    {
        for (int index = 0; index < _records.Length; index++)
        {
            if (IsReadable(_records[index].State) && _records[index].Number > number && _records[index].Number <= last)
            {
                SetState(index, RecordState.Dropped, reason);
            }
        }
    }

    private bool IsToSave(SaveBatch batch, long block) =>
        block < batch.End && batch.Count < SaveBatch.MaxBlocks && Newest != 0 && NewestKey(block) < Newest && !IsBeingSaved(block);

    private bool IsBeingSaved(long block)
    {
        foreach (SaveBatch other in _saving)
        {
            if (other.IsSaving(block))
            {
                return true;
            }
        }

        return false;
    }

    private void Spoil(int slot)
    {
        foreach (SaveBatch batch in _saving)
        {
            batch.IsSpoiled |= batch.Slots.Contains(slot);
        }
    }

    private void GiveBack(SaveBatch batch)
    {
        foreach (int slot in batch.Slots)
        {
            Release(slot);
        }

        batch.Clear();
    }

    /// <summary>
    /// A free slot; if there is none, one that nobody needs any more; if there is none, the oldest snapshot is dropped for it.
    /// -1 when no snapshot is left.
    /// </summary>
    private int TakeSlot()
    {
        while (FreeSlots == 0)
        {
            if (!IsSweepNeeded && !DropOldest())
            {
                return None;
            }

            Sweep(SweepAtOnce);
        }

        return Newest == 0 ? None : TakeFree();
    }

    private bool DropOldest()
    {
        int oldest = None;
        for (int index = 0; index < _records.Length; index++)
        {
            if (IsReadable(_records[index].State) && (oldest == None || _records[index].Number < _records[oldest].Number))
            {
                oldest = index;
            }
        }

        if (oldest == None)
        {
            return false;
        }

        SetState(oldest, RecordState.Dropped, DropReason.Full);
        return true;
    }
}
