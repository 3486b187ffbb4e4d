using Quench.Blocks;

namespace Quench.Snapshots.Engine;

// What a read sees of a snapshot. It holds nothing: it looks, reads, and looks again.
internal sealed partial class SnapshotState
{
    internal void BeginRead(ReadPlan plan, Extent range)
    {
        ReadsInFlight++;
        plan.Begin(this);
        if (!FailIfUnsound(plan))
        {
            Locate(plan, range);
            DoneIfEmpty(plan);
        }
    }

    /// <summary>
    /// Keeps what was read from where it still is, and plans again what has moved. A write lands on a block only after the block was marked saved
    /// or dropped from the promise; so where a block is still unsaved after the read, no write had landed on it during the read.
    /// </summary>
    internal void RecheckRead(ReadPlan plan)
    {
        if (FailIfUnsound(plan))
        {
            return;
        }

        foreach (ReadSegment segment in plan.TurnOver())
        {
            if (segment.Source != ReadSource.Zero && !PlanMoved(plan, segment))
            {
                return;
            }
        }

        DoneIfEmpty(plan);
    }

    internal void EndRead() => ReadsInFlight--;

    /// <summary>Plans again the parts of a segment that are no longer where they were read from. False when the read has failed.</summary>
    private bool PlanMoved(ReadPlan plan, ReadSegment segment)
    {
        BlockBitmap there = segment.Source == ReadSource.Origin ? _unsaved : _saved;
        long end = EndBlock(segment.Extent);
        for (long block = there.NextClear(segment.Extent.Offset / BlockSize, end); block < end; block = there.NextClear(block, end))
        {
            long until = there.NextSet(block, end);
            if (!Locate(plan, ExtentOf(block, until).Intersect(segment.Extent)))
            {
                return false;
            }

            block = until;
        }

        return true;
    }

    /// <summary>Adds the segments of a range. False, with the plan failed, when a block of it was released.</summary>
    private bool Locate(ReadPlan plan, Extent range)
    {
        long end = EndBlock(range);
        for (long block = range.Offset / BlockSize; !range.IsEmpty && block < end;)
        {
            long until;
            if (_unsaved[block])
            {
                until = _unsaved.NextClear(block, end);
                plan.Add(new ReadSegment(ExtentOf(block, until).Intersect(range), ReadSource.Origin, 0));
            }
            else if (_saved[block])
            {
                until = EndOfSlotRun(block, end);
                plan.Add(new ReadSegment(ExtentOf(block, until).Intersect(range), ReadSource.Slot, _slotOf[block]));
            }
            else if (_released[block])
            {
                plan.Fail(ReadStatus.Released);
                return false;
            }
            else
            {
                until = Math.Min(_unsaved.NextSet(block, end), Math.Min(_saved.NextSet(block, end), _released.NextSet(block, end)));
                plan.Add(new ReadSegment(ExtentOf(block, until).Intersect(range), ReadSource.Zero, 0));
            }

            block = until;
        }

        return true;
    }

    /// <summary>Where consecutive saved blocks stop lying in consecutive slots of one kind.</summary>
    private long EndOfSlotRun(long block, long end)
    {
        long slot = _slotOf[block];
        long until = block + 1;
        while (until < end && _slotOf[until] == slot + (until - block) && slot + (until - block) != _slots.RamSlots)
        {
            until++;
        }

        return until;
    }

    private bool FailIfUnsound(ReadPlan plan)
    {
        if (IsSound)
        {
            return false;
        }

        plan.Fail(IsEnded ? ReadStatus.Ended : ReadStatus.Broken);
        return true;
    }

    private static void DoneIfEmpty(ReadPlan plan)
    {
        if (plan.Status == ReadStatus.Reading && plan.Segments.Count == 0)
        {
            plan.Done();
        }
    }

    private long EndBlock(Extent range) => range.IsEmpty ? range.Offset / BlockSize : ((range.End - 1) / BlockSize) + 1;
}
