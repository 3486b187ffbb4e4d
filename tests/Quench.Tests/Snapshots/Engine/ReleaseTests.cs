using Quench.Blocks;
using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class ReleaseTests
{
    [Fact]
    public void Only_whole_blocks_are_released()
    {
        Engine engine = Engine.WithSnapshot();
        Assert.Equal(1, engine.Core.Release(engine.Snapshot, new Extent(4000, 8000)));
        Assert.Equal(BlockState.Unsaved, engine.Snapshot.StateOf(0));
        Assert.Equal(BlockState.Released, engine.Snapshot.StateOf(1));
        Assert.Equal(BlockState.Unsaved, engine.Snapshot.StateOf(2));
    }

    [Fact]
    public void The_cut_last_block_is_whole_when_the_range_reaches_the_end()
    {
        Engine engine = Engine.WithSnapshot(length: (4096 * 3) + 512);
        Assert.Equal(1, engine.Core.Release(engine.Snapshot, new Extent(4096 * 3, 512)));
        Assert.Equal(0, engine.Core.Release(engine.Snapshot, new Extent((4096 * 3) + 100, 412)));
    }

    [Fact]
    public void A_released_block_is_not_saved_and_its_slot_serves_another()
    {
        Engine engine = Engine.WithSnapshot(ram: 1);
        engine.Write(5, 1);
        Assert.Equal(1, engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1)));
        engine.Core.EndWrite(engine.Begin(5, 1, WriteStep.Land));
        Assert.Equal(0, engine.Begin(6, 1, WriteStep.Save).Saves[0].FirstSlot);
    }

    [Fact]
    public void The_slot_of_a_block_released_while_it_is_saved_is_free_when_the_save_completes()
    {
        Engine engine = Engine.WithSnapshot(ram: 2);
        WriteOperation saving = engine.Begin(5, 1, WriteStep.Save);
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1));
        WriteOperation other = engine.Begin(7, 1, WriteStep.Save);
        Assert.Equal(1, other.Saves[0].FirstSlot);
        engine.SaveAndLand(saving);
        Assert.Equal(0, engine.Begin(8, 1, WriteStep.Save).Saves[0].FirstSlot);
    }

    [Fact]
    public void A_write_to_a_block_released_while_another_saves_it_need_not_wait()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation saving = engine.Begin(5, 1, WriteStep.Save);
        WriteOperation waiting = engine.Begin(5, 1, WriteStep.Wait);
        long version = engine.Core.WakeVersion;
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(5, 1));
        Assert.True(engine.Core.WakeVersion > version);
        Assert.Equal(WriteStep.Land, engine.Core.Next(waiting));
        engine.SaveAndLand(saving);
    }

    [Fact]
    public void The_saved_extents_are_given_in_order_as_many_as_fit()
    {
        Engine engine = Engine.WithSnapshot(ram: 20_000, length: 20_000L * 4096);
        engine.Write(19_999, 1);
        engine.Write(4_095, 2);
        engine.Write(7, 3);
        Extent[] saved = new Extent[5];
        Assert.Equal(3, engine.Core.GetSavedExtents(engine.Snapshot, saved));
        Assert.Equal([Engine.Blocks(7, 3), Engine.Blocks(4_095, 2), Engine.Blocks(19_999, 1)], saved[..3]);
        Assert.Equal(1, engine.Core.GetSavedExtents(engine.Snapshot, saved.AsSpan(0, 1)));
    }

    [Fact]
    public void Usage_counts_slots_and_remembers_its_peak()
    {
        Engine engine = Engine.WithSnapshot(ram: 5, spill: 5, highMark: 40);
        engine.Write(0, 3);
        Assert.Equal(new DiffAreaUsage(3 * 4096, 10 * 4096, 3 * 4096, IsNearlyFull: false), engine.Snapshot.Usage);
        engine.Write(3, 1);
        Assert.True(engine.Snapshot.Usage.IsNearlyFull);
        _ = engine.Core.Release(engine.Snapshot, Engine.Blocks(0, 3));
        Assert.Equal(new DiffAreaUsage(1 * 4096, 10 * 4096, 4 * 4096, IsNearlyFull: false), engine.Snapshot.Usage);
    }
}
