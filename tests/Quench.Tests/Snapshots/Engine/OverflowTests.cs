using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class OverflowTests
{
    [Fact]
    public void A_full_diff_area_breaks_the_snapshot_and_the_write_lands_at_once()
    {
        Engine engine = Engine.WithSnapshot(ram: 1, spill: 1);
        engine.Write(0, 2);
        engine.Core.EndWrite(engine.Begin(5, 1, WriteStep.Land));
        Assert.Equal(
            new BrokenReason(BreakCause.DiffAreaFull, "the diff area is full (8.00 KiB of 8.00 KiB) while saving 4.00 KiB at 0x5000"),
            engine.Snapshot.Broken);
        Assert.Equal(ReadStatus.Broken, engine.StatusOf(0, 1));
    }

    [Fact]
    public void A_write_too_big_for_the_room_left_saves_nothing_in_vain()
    {
        Engine engine = Engine.WithSnapshot(ram: 10);
        engine.Core.EndWrite(engine.Begin(0, 11, WriteStep.Land));
        Assert.NotNull(engine.Snapshot.Broken);
        Assert.Equal(0, engine.Snapshot.Usage.PeakBytes);
    }

    [Fact]
    public void Slots_about_to_come_free_are_waited_for_rather_than_breaking()
    {
        Engine engine = Engine.WithSnapshot(ram: 1);
        WriteOperation saving = engine.Begin(0, 1, WriteStep.Save);
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(0, 1));
        WriteOperation other = engine.Begin(5, 1, WriteStep.Wait);
        engine.SaveAndLand(saving);
        Assert.Equal(WriteStep.Save, engine.Core.Next(other));
        Assert.Null(engine.Snapshot.Broken);
    }

    [Fact]
    public void A_held_writer_goes_on_when_imaging_frees_room()
    {
        Engine engine = Engine.WithSnapshot(ram: 1, overflow: OverflowPolicy.HoldWriter);
        engine.Write(0, 1);
        WriteOperation held = engine.Begin(5, 1, WriteStep.Wait);
        Assert.Equal(WaitReason.DiffArea, held.WaitsFor);
        long version = engine.Core.WakeVersion;
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(0, 1));
        Assert.True(engine.Core.WakeVersion > version);
        Assert.Equal(WriteStep.Save, engine.Core.Next(held));
    }

    [Fact]
    public void A_held_writer_saves_what_there_is_room_for()
    {
        Engine engine = Engine.WithSnapshot(ram: 2, overflow: OverflowPolicy.HoldWriter);
        WriteOperation held = engine.Begin(5, 3, WriteStep.Save);
        Assert.Equal([new SaveRun(Engine.Blocks(5, 2), 0)], held.Saves);
        engine.Core.CompleteSave(held, SaveOutcome.Saved);
        Assert.Equal(WriteStep.Wait, engine.Core.Next(held));
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1));
        Assert.Equal(WriteStep.Save, engine.Core.Next(held));
        engine.SaveAndLand(held);
    }

    [Fact]
    public void The_shell_ends_a_hold_by_breaking_the_snapshot()
    {
        Engine engine = Engine.WithSnapshot(ram: 0, overflow: OverflowPolicy.HoldWriter);
        WriteOperation held = engine.Begin(5, 1, WriteStep.Wait);
        engine.Core.BreakSnapshot(new BrokenReason(BreakCause.HoldLimit, "held for 5 s"));
        Assert.Equal(WriteStep.Land, engine.Core.Next(held));
    }

    [Fact]
    public void A_save_that_fails_breaks_the_snapshot_and_never_the_write()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation write = engine.Begin(5, 1, WriteStep.Save);
        engine.Core.CompleteSave(write, SaveOutcome.Failed("no space on the spill file"));
        Assert.Equal(WriteStep.Land, engine.Core.Next(write));
        Assert.Equal(new BrokenReason(BreakCause.SaveFailed, "no space on the spill file"), engine.Snapshot.Broken);
    }

    [Fact]
    public void A_save_that_fails_for_blocks_nobody_wants_any_more_is_no_loss()
    {
        Engine engine = Engine.WithSnapshot(ram: 1);
        WriteOperation write = engine.Begin(5, 1, WriteStep.Save);
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1));
        engine.Core.CompleteSave(write, SaveOutcome.Failed("no space on the spill file"));
        Assert.Null(engine.Snapshot.Broken);
        _ = engine.Begin(6, 1, WriteStep.Save);
    }

    [Fact]
    public void The_first_cause_is_kept()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Core.BreakSnapshot(new BrokenReason(BreakCause.Abandoned, "first"));
        engine.Core.BreakSnapshot(new BrokenReason(BreakCause.HoldLimit, "second"));
        Assert.Equal("first", engine.Snapshot.Broken!.Detail);
    }

    [Fact]
    public void A_broken_snapshot_protects_nothing_and_tells_nothing()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 1);
        engine.Core.BreakSnapshot(new BrokenReason(BreakCause.Abandoned, "stopped"));
        engine.Core.EndWrite(engine.Begin(6, 1, WriteStep.Land));
        Assert.Equal(0, engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1)));
        Assert.Equal(0, engine.Core.GetSavedExtents(engine.Snapshot, new Quench.Blocks.Extent[4]));
    }

    [Fact]
    public void Others_who_were_waiting_are_woken_when_a_write_breaks_the_snapshot()
    {
        Engine engine = Engine.WithSnapshot(ram: 1);
        WriteOperation saving = engine.Begin(5, 1, WriteStep.Save);
        WriteOperation waiting = engine.Begin(5, 1, WriteStep.Wait);
        long version = engine.Core.WakeVersion;
        engine.Core.EndWrite(engine.Begin(6, 1, WriteStep.Land));
        Assert.True(engine.Core.WakeVersion > version);
        Assert.Equal(WriteStep.Land, engine.Core.Next(waiting));
        engine.SaveAndLand(saving);
    }
}
