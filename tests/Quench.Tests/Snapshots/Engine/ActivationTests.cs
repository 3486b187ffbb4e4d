using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class ActivationTests
{
    [Fact]
    public void The_instant_waits_for_the_writes_in_flight()
    {
        Engine engine = Engine.WithoutSnapshot();
        WriteOperation write = engine.Begin(5, 1, WriteStep.Land);
        engine.Core.BeginActivation(engine.Prepare());
        Assert.False(engine.Core.TryFinishActivation());
        long version = engine.Core.WakeVersion;
        engine.Core.EndWrite(write);
        Assert.True(engine.Core.WakeVersion > version);
        Assert.True(engine.Core.TryFinishActivation());
    }

    [Fact]
    public void A_write_that_comes_while_the_gate_is_closing_waits_and_then_saves()
    {
        Engine engine = Engine.WithoutSnapshot();
        engine.Core.BeginActivation(engine.Prepare());
        WriteOperation write = engine.Begin(5, 1, WriteStep.Wait);
        Assert.Equal(WaitReason.Activation, write.WaitsFor);
        Assert.True(engine.Core.TryFinishActivation());
        Assert.Equal(WriteStep.Save, engine.Core.Next(write));
    }

    [Fact]
    public void The_gate_stays_closed_while_the_last_writes_drain()
    {
        Engine engine = Engine.WithoutSnapshot();
        WriteOperation draining = engine.Begin(5, 1, WriteStep.Land);
        engine.Core.BeginActivation(engine.Prepare());
        WriteOperation late = engine.Begin(9, 1, WriteStep.Wait);
        Assert.Equal(1, engine.Core.WritesInFlight);
        engine.Core.EndWrite(draining);
        Assert.True(engine.Core.TryFinishActivation());
        Assert.Equal(WriteStep.Save, engine.Core.Next(late));
    }

    [Fact]
    public void A_write_announced_but_not_admitted_does_not_hold_up_the_instant()
    {
        Engine engine = Engine.WithoutSnapshot();
        WriteOperation write = engine.Core.BeginWrite(Engine.Blocks(5, 1));
        engine.Core.BeginActivation(engine.Prepare());
        Assert.True(engine.Core.TryFinishActivation());
        Assert.Equal(WriteStep.Save, engine.Core.Next(write));
    }

    [Fact]
    public void A_cancelled_activation_lets_the_writes_go()
    {
        Engine engine = Engine.WithoutSnapshot();
        engine.Core.BeginActivation(engine.Prepare());
        WriteOperation write = engine.Begin(5, 1, WriteStep.Wait);
        long version = engine.Core.WakeVersion;
        engine.Core.CancelActivation();
        Assert.True(engine.Core.WakeVersion > version);
        Assert.Equal(WriteStep.Land, engine.Core.Next(write));
    }

    [Fact]
    public void There_is_one_snapshot_at_a_time()
    {
        Engine engine = Engine.WithSnapshot();
        Assert.Throws<InvalidOperationException>(() => engine.Core.BeginActivation(engine.Prepare()));
    }

    [Fact]
    public void A_prepared_state_serves_once()
    {
        Engine engine = Engine.WithoutSnapshot();
        SnapshotState prepared = engine.Prepare();
        engine.Core.BeginActivation(prepared);
        engine.Core.CancelActivation();
        Assert.Throws<InvalidOperationException>(() => engine.Core.BeginActivation(prepared));
    }

    [Fact]
    public void A_state_prepared_for_another_volume_is_refused()
    {
        Engine engine = Engine.WithoutSnapshot();
        SnapshotState other = SnapshotState.Prepare(8192, 4096, new DiffAreaLimits(1, 0, 80), OverflowPolicy.BreakSnapshot);
        Assert.Throws<InvalidOperationException>(() => engine.Core.BeginActivation(other));
    }

    [Fact]
    public void The_end_of_a_snapshot_lets_writes_land_and_its_slots_wait_for_those_who_fill_them()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation saving = engine.Begin(5, 1, WriteStep.Save);
        WriteOperation waiting = engine.Begin(5, 1, WriteStep.Wait);
        SnapshotState ended = engine.Core.EndSnapshot()!;
        Assert.Equal(WriteStep.Land, engine.Core.Next(waiting));
        Assert.False(ended.CanFreeSlots);
        engine.SaveAndLand(saving);
        Assert.True(ended.CanFreeSlots);
    }

    [Fact]
    public void The_slots_of_an_ended_snapshot_wait_for_its_readers()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 1);
        ReadPlan plan = engine.Core.BeginRead(engine.Snapshot, Engine.Blocks(5, 1));
        _ = engine.Core.EndSnapshot();
        Assert.False(engine.Snapshot.CanFreeSlots);
        Assert.Equal(ReadStatus.Ended, engine.Core.RecheckRead(plan));
        engine.Core.EndRead(plan);
        Assert.True(engine.Snapshot.CanFreeSlots);
    }

    [Fact]
    public void Ending_no_snapshot_is_nothing() => Assert.Null(Engine.WithoutSnapshot().Core.EndSnapshot());

    [Fact]
    public void A_new_snapshot_follows_an_ended_one()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 1);
        _ = engine.Core.EndSnapshot();
        engine.Core.BeginActivation(engine.Prepare());
        Assert.True(engine.Core.TryFinishActivation());
        engine.Write(5, 1);
    }
}
