using Quench.Blocks;
using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class ReadTests
{
    [Fact]
    public void What_nobody_has_overwritten_is_read_from_the_origin()
    {
        Engine engine = Engine.WithSnapshot();
        Assert.Equal([new ReadSegment(new Extent(100, 9000), ReadSource.Origin, 0)], engine.Look(new Extent(100, 9000)));
    }

    [Fact]
    public void What_was_saved_is_read_from_its_slots()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(1, 2);
        Assert.Equal(
            [
                new ReadSegment(new Extent(0, 4096), ReadSource.Origin, 0),
                new ReadSegment(new Extent(4096, 8192), ReadSource.Slot, 0),
                new ReadSegment(new Extent(12288, 512), ReadSource.Origin, 0),
            ],
            engine.Look(new Extent(0, 12800)));
    }

    [Fact]
    public void Slots_that_do_not_follow_each_other_are_read_one_by_one()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(2, 1);
        engine.Write(1, 1);
        Assert.Equal(
            [new ReadSegment(Engine.Blocks(1, 1), ReadSource.Slot, 1), new ReadSegment(Engine.Blocks(2, 1), ReadSource.Slot, 0)],
            engine.Look(Engine.Blocks(1, 2)));
    }

    [Fact]
    public void A_reader_takes_again_from_its_slot_what_was_saved_while_it_read()
    {
        Engine engine = Engine.WithSnapshot();
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, new Extent(100, 12000));
        engine.Write(1, 1);
        Assert.Equal(ReadStatus.Reading, engine.Core.RecheckRead(plan));
        Assert.Equal([new ReadSegment(Engine.Blocks(1, 1), ReadSource.Slot, 0)], plan.Segments);
        Assert.Equal(ReadStatus.Done, engine.Core.RecheckRead(plan));
        engine.Core.EndRead(plan);
    }

    [Fact]
    public void A_write_does_not_wait_for_a_reader()
    {
        Engine engine = Engine.WithSnapshot();
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(0, 64));
        engine.Write(5, 1);
        engine.Core.EndRead(plan);
    }

    [Fact]
    public void A_block_being_saved_is_still_old_on_the_origin()
    {
        Engine engine = Engine.WithSnapshot();
        _ = engine.Begin(5, 1, WriteStep.Save);
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(5, 1));
        Assert.Equal(ReadSource.Origin, plan.Segments[0].Source);
        Assert.Equal(ReadStatus.Done, engine.Core.RecheckRead(plan));
    }

    [Fact]
    public void What_was_not_in_use_reads_as_zeros()
    {
        Engine engine = Engine.WithSnapshot();
        Assert.Equal(2, engine.Core.DropUnused(engine.Snapshot, Engine.Blocks(4, 2)));
        Assert.Equal([new ReadSegment(Engine.Blocks(4, 2), ReadSource.Zero, 0)], engine.Look(Engine.Blocks(4, 2)));
        engine.Core.EndWrite(engine.Begin(4, 2, WriteStep.Land));
    }

    [Fact]
    public void What_is_dropped_while_it_is_read_becomes_zeros()
    {
        Engine engine = Engine.WithSnapshot();
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(4, 2));
        _ = engine.Core.DropUnused(engine.Snapshot, Engine.Blocks(5, 1));
        Assert.Equal(ReadStatus.Reading, engine.Core.RecheckRead(plan));
        Assert.Equal([new ReadSegment(Engine.Blocks(5, 1), ReadSource.Zero, 0)], plan.Segments);
        Assert.Equal(ReadStatus.Done, engine.Core.RecheckRead(plan));
    }

    [Fact]
    public void What_was_imaged_must_not_be_read_again()
    {
        Engine engine = Engine.WithSnapshot();
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(4, 2));
        Assert.Equal(ReadStatus.Released, engine.StatusOf(3, 2));
        Assert.Equal(ReadStatus.Reading, engine.StatusOf(6, 2));
    }

    [Fact]
    public void A_release_during_a_read_fails_it_wherever_it_read_from()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(4, 1);
        ReadPlan fromSlot = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(4, 1));
        ReadPlan fromOrigin = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(5, 1));
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(4, 2));
        Assert.Equal(ReadStatus.Released, engine.Core.RecheckRead(fromSlot));
        Assert.Equal(ReadStatus.Released, engine.Core.RecheckRead(fromOrigin));
    }

    [Fact]
    public void A_break_during_a_read_fails_it()
    {
        Engine engine = Engine.WithSnapshot();
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(4, 1));
        engine.Core.BreakSnapshot(new BrokenReason(BreakCause.Abandoned, "the volume vanished"));
        Assert.Equal(ReadStatus.Broken, engine.Core.RecheckRead(plan));
        Assert.Empty(plan.Segments);
    }

    [Fact]
    public void Reading_nothing_is_done_at_once() => Assert.Equal(ReadStatus.Done, Engine.WithSnapshot().StatusOf(5, 0));

    [Fact]
    public void A_reader_that_gives_up_leaves_nothing_behind()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Core.EndRead(engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(0, 64)));
        Assert.Equal(0, engine.Snapshot.ReadsInFlight);
        _ = engine.Core.EndSnapshot();
        Assert.True(engine.Snapshot.CanFreeSlots);
    }
}
