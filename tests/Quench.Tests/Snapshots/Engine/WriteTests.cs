using Quench.Blocks;
using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class WriteTests
{
    [Fact]
    public void Without_a_snapshot_a_write_lands_at_once()
    {
        Engine engine = Engine.WithoutSnapshot();
        WriteOperation write = engine.Begin(3, 2, WriteStep.Land);
        Assert.Equal(1, engine.Core.WritesInFlight);
        engine.Core.EndWrite(write);
        Assert.Equal(0, engine.Core.WritesInFlight);
    }

    [Fact]
    public void A_write_to_a_promised_block_saves_the_whole_block_first()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation write = engine.Begin(new Extent((5 * 4096) + 512, 512), WriteStep.Save);
        Assert.Equal([new SaveRun(Engine.Blocks(5, 1), 0)], write.Saves);
        engine.SaveAndLand(write);
    }

    [Fact]
    public void Neighbouring_blocks_are_saved_as_one_run_into_consecutive_slots()
    {
        Engine engine = Engine.WithSnapshot();
        Assert.Equal([new SaveRun(Engine.Blocks(8, 6), 0)], engine.Begin(8, 6, WriteStep.Save).Saves);
    }

    [Fact]
    public void A_run_does_not_cross_from_memory_into_the_spill_file()
    {
        Engine engine = Engine.WithSnapshot(ram: 4, spill: 60);
        WriteOperation write = engine.Begin(8, 6, WriteStep.Save);
        Assert.Equal([new SaveRun(Engine.Blocks(8, 4), 0), new SaveRun(Engine.Blocks(12, 2), 4)], write.Saves);
        engine.SaveAndLand(write);
        Assert.Equal(
            [new ReadSegment(Engine.Blocks(8, 4), ReadSource.Slot, 0), new ReadSegment(Engine.Blocks(12, 2), ReadSource.Slot, 4)],
            engine.Look(Engine.Blocks(8, 6)));
    }

    [Fact]
    public void A_block_is_saved_once()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 1);
        engine.Core.EndWrite(engine.Begin(5, 1, WriteStep.Land));
    }

    [Fact]
    public void Only_the_blocks_not_yet_saved_are_saved()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 1);
        Assert.Equal([new SaveRun(Engine.Blocks(4, 1), 1), new SaveRun(Engine.Blocks(6, 1), 2)], engine.Begin(4, 3, WriteStep.Save).Saves);
    }

    [Fact]
    public void The_last_block_is_cut_at_the_end_of_the_volume()
    {
        Engine engine = Engine.WithSnapshot(length: (63 * 4096) + 1024);
        Assert.Equal([new SaveRun(new Extent(63 * 4096, 1024), 0)], engine.Begin(new Extent(63 * 4096, 512), WriteStep.Save).Saves);
    }

    [Fact]
    public void A_write_waits_for_another_that_is_saving_a_block_they_share()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation first = engine.Begin(5, 1, WriteStep.Save);
        WriteOperation second = engine.Begin(5, 1, WriteStep.Wait);
        Assert.Equal(WaitReason.OtherSave, second.WaitsFor);
        long version = engine.Core.WakeVersion;
        engine.Core.CompleteSave(first, SaveOutcome.Saved);
        Assert.True(engine.Core.WakeVersion > version);
        Assert.Equal(WriteStep.Land, engine.Core.Next(second));
    }

    [Fact]
    public void A_write_saves_its_own_blocks_before_it_waits_for_those_of_others()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation first = engine.Begin(5, 1, WriteStep.Save);
        WriteOperation second = engine.Begin(4, 3, WriteStep.Save);
        Assert.Equal([new SaveRun(Engine.Blocks(4, 1), 1), new SaveRun(Engine.Blocks(6, 1), 2)], second.Saves);
        engine.Core.CompleteSave(second, SaveOutcome.Saved);
        Assert.Equal(WriteStep.Wait, engine.Core.Next(second));
        engine.Core.CompleteSave(first, SaveOutcome.Saved);
        Assert.Equal(WriteStep.Land, engine.Core.Next(second));
    }

    [Fact]
    public void A_long_discard_saves_in_bounded_steps()
    {
        Engine engine = Engine.WithSnapshot(ram: 3000, length: 3000 * 4096);
        WriteOperation discard = engine.Begin(0, 3000, WriteStep.Save);
        List<long> steps = [];
        do
        {
            steps.Add(discard.Saves.Sum(run => run.Origin.Length) / 4096);
            engine.Core.CompleteSave(discard, SaveOutcome.Saved);
        }
        while (engine.Core.Next(discard) == WriteStep.Save);
        Assert.Equal([1024, 1024, 952], steps);
    }

    [Fact]
    public void A_write_of_nothing_lands()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Core.EndWrite(engine.Begin(new Extent(64 * 4096, 0), WriteStep.Land));
    }

    [Fact]
    public void A_write_beyond_the_volume_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Engine.WithoutSnapshot().Core.BeginWrite(Engine.Blocks(63, 2)));

    [Fact]
    public void Calls_out_of_order_are_refused()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation write = engine.Begin(5, 1, WriteStep.Save);
        Assert.Throws<InvalidOperationException>(() => engine.Core.Next(write));
        Assert.Throws<InvalidOperationException>(() => engine.Core.EndWrite(write));
        engine.SaveAndLand(write);
        Assert.Throws<InvalidOperationException>(() => engine.Core.EndWrite(write));
        Assert.Throws<InvalidOperationException>(() => engine.Core.CompleteSave(write, SaveOutcome.Saved));
    }

    [Fact]
    public void A_waiting_write_can_be_given_up()
    {
        Engine engine = Engine.WithSnapshot();
        WriteOperation first = engine.Begin(5, 1, WriteStep.Save);
        engine.Core.EndWrite(engine.Begin(5, 1, WriteStep.Wait));
        engine.SaveAndLand(first);
        Assert.Equal(0, engine.Core.WritesInFlight);
    }

    [Fact]
    public void A_write_without_a_snapshot_allocates_nothing()
    {
        Engine engine = Engine.WithoutSnapshot();
        Assert.Equal(0, BytesOfWrites(engine));
    }

    [Fact]
    public void A_write_to_saved_blocks_allocates_nothing()
    {
        Engine engine = Engine.WithSnapshot();
        engine.Write(5, 3);
        Assert.Equal(0, BytesOfWrites(engine));
    }

    private static long BytesOfWrites(Engine engine)
    {
        long before = 0;
        for (int i = 0; i < 11_000; i++)
        {
            before = i == 1_000 ? GC.GetAllocatedBytesForCurrentThread() : before; // the first thousand fill the pool
            WriteOperation write = engine.Core.BeginWrite(Engine.Blocks(5, 3));
            _ = engine.Core.Next(write);
            engine.Core.EndWrite(write);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
