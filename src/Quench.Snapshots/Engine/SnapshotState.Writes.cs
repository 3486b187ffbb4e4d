using System.Globalization;
using Quench.Blocks;

namespace Quench.Snapshots.Engine;

// What a write does to a snapshot: decide, mark as saving, mark as saved.
internal sealed partial class SnapshotState
{
    /// <summary>
    /// The most blocks one save step copies. A discard of gigabytes saves in steps of this, so that slots freed meanwhile are used
    /// and no writer beside it waits for more than one step. 1024 blocks of 4 KiB are 4 MiB.
    /// </summary>
    internal const int MaxBlocksPerSave = 1024;

    /// <summary>The next step of an admitted write.</summary>
    internal WriteStep Decide(WriteOperation write)
    {
        if (!IsSound || !SkipWhatMayLand(write))
        {
            return write.Land();
        }

        if (!write.HasRoom && Overflow == OverflowPolicy.BreakSnapshot && !CanHold(write))
        {
            return BreakFull(write);
        }

        write.HasRoom = true;
        WaitReason obstacle = TakeSlots(write);
        if (write.Saves.Count > 0)
        {
            SavesInFlight++;
            return write.Save(this);
        }

        // Orphans come free without anybody's help as soon as their saves complete: no reason to break.
        return obstacle == WaitReason.DiffArea && Overflow == OverflowPolicy.BreakSnapshot && _orphans == 0
            ? BreakFull(write)
            : write.Wait(obstacle);
    }

    /// <summary>The shell has tried to copy what <see cref="Decide"/> asked for.</summary>
    internal void CompleteSave(WriteOperation write, SaveOutcome outcome)
    {
        SavesInFlight--;
        if (!IsSound)
        {
            return; // nobody will look at the slots again, and they are not handed out again either
        }

        if (outcome.Failure is { } failure && IsAnyWanted(write))
        {
            Break(new BrokenReason(BreakCause.SaveFailed, failure));
            return;
        }

        foreach (SaveRun run in write.Saves)
        {
            Settle(run);
        }
    }

    /// <summary>Moves a write's first block on to the first that is unsaved; a block never goes back to that. False when there is none.</summary>
    private bool SkipWhatMayLand(WriteOperation write)
    {
        write.FirstBlock = _unsaved.NextSet(write.FirstBlock, write.EndBlock);
        return write.FirstBlock < write.EndBlock;
    }

    /// <summary>Whether the slots that are free, or about to be, are enough for all that a write must save. Looks no further than that many blocks.</summary>
    private bool CanHold(WriteOperation write)
    {
        long room = _slots.Free + _orphans;
        for (long block = write.FirstBlock; room >= 0;)
        {
            (block, long end, bool isSaving) = NextUnsaved(block, write.EndBlock);
            if (block == write.EndBlock)
            {
                return true;
            }

            room -= isSaving ? 0 : end - block;
            block = end;
        }

        return false;
    }

    /// <summary>Gives slots to as many unsaved blocks of a write as one step takes, and marks them as being saved.</summary>
    /// <returns>Why no more of its blocks could be taken.</returns>
    private WaitReason TakeSlots(WriteOperation write)
    {
        WaitReason obstacle = WaitReason.None;
        long wanted = MaxBlocksPerSave;
        for (long block = write.FirstBlock; wanted > 0;)
        {
            (block, long end, bool isSaving) = NextUnsaved(block, write.EndBlock);
            if (block == write.EndBlock)
            {
                break;
            }

            if (isSaving)
            {
                obstacle = WaitReason.OtherSave;
                block = end;
            }
            else if (_slots.TryTake(Math.Min(end - block, wanted), out long slot, out long count))
            {
                _saving.SetRange(block, count);
                write.AddSave(new SaveRun(ExtentOf(block, block + count), slot));
                block += count;
                wanted -= count;
            }
            else
            {
                return WaitReason.DiffArea;
            }
        }

        return obstacle;
    }

    /// <summary>The next run, no longer than one step takes, of unsaved blocks of which all, or none, are being saved; (end, end) when there is none.</summary>
    private (long First, long End, bool IsSaving) NextUnsaved(long block, long end)
    {
        long first = _unsaved.NextSet(block, end);
        if (first == end)
        {
            return (end, end, false);
        }

        long until = _unsaved.NextClear(first, Math.Min(end, first + MaxBlocksPerSave));
        bool isSaving = _saving[first];
        return (first, isSaving ? _saving.NextClear(first, until) : _saving.NextSet(first, until), isSaving);
    }

    private WriteStep BreakFull(WriteOperation write)
    {
        Break(new BrokenReason(BreakCause.DiffAreaFull, string.Create(
            CultureInfo.InvariantCulture,
            $"the diff area is full ({ByteSize.Format(_slots.Used * BlockSize)} of {ByteSize.Format(_slots.Total * BlockSize)}) while saving {ByteSize.Format(write.Range.Length)} at 0x{write.Range.Offset:x}")));
        return write.Land();
    }

    private bool IsAnyWanted(WriteOperation write)
    {
        foreach (SaveRun run in write.Saves)
        {
            if (_saving.CountSet(run.Origin.Offset / BlockSize, CountOf(run)) > 0)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>A run's slots are full: its blocks are saved, but for those released meanwhile, whose slots are free now.</summary>
    private void Settle(SaveRun run)
    {
        long first = run.Origin.Offset / BlockSize;
        long end = first + CountOf(run);
        for (long block = first; block < end;)
        {
            bool isWanted = _saving[block];
            long until = isWanted ? _saving.NextClear(block, end) : _saving.NextSet(block, end);
            if (isWanted)
            {
                MarkSaved(block, until, run.FirstSlot + (block - first));
            }
            else
            {
                _slots.Release(run.FirstSlot + (block - first), until - block);
                _orphans -= until - block;
            }

            block = until;
        }
    }

    private void MarkSaved(long first, long end, long slot)
    {
        _saving.ClearRange(first, end - first);
        _unsaved.ClearRange(first, end - first);
        _saved.SetRange(first, end - first);
        for (long block = first; block < end; block++)
        {
            _slotOf.Add(block, slot + (block - first));
        }
    }

    private long CountOf(SaveRun run) => (run.Origin.Length + BlockSize - 1) / BlockSize;
}
