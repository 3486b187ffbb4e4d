using Quench.Snapshots.Store;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>The rules of the store's core, one at a time.</summary>
public sealed class VersionBookTests : IDisposable
{
    private const int Slots = 8;

    private readonly MortalMemory _memory = new((int)SlotTable.BytesFor(Slots));
    private VersionBook _book;

    public VersionBookTests() =>
        _book = new VersionBook(SlotTable.Format(_memory.Memory, new StoreGeometry(64 * 4096, 4096, Slots, Guid.NewGuid())));

    public void Dispose() => ((IDisposable)_memory).Dispose();

    [Fact]
    public void Without_a_snapshot_a_write_lands_at_once() => Assert.Equal(0, Write(0, 64));

    [Fact]
    public void A_block_is_kept_once_for_all_snapshots_before_it()
    {
        Take(1);
        Take(2);
        Take(3);

        Assert.Equal(2, Write(5, 7));
        Assert.Equal(0, Write(5, 7));

        Assert.Equal(Slots - 2, _book.FreeSlots);
        Assert.Equal(Where(1, 5), Where(3, 5));
        Assert.True(Where(2, 5) >= 0);
        Assert.Equal(VersionBook.OnOrigin, Where(2, 7));
    }

    [Fact]
    public void After_another_snapshot_a_block_is_kept_again()
    {
        Take(1);
        Write(5, 6);
        Take(2);

        Assert.Equal(VersionBook.OnOrigin, Where(2, 5));
        Assert.Equal(1, Write(5, 6));
        Assert.NotEqual(Where(1, 5), Where(2, 5));
    }

    [Fact]
    public void What_a_deleted_snapshot_shared_goes_to_the_older_one()
    {
        Take(1);
        Take(2);
        Write(5, 6);
        int slot = Where(1, 5);

        Delete(2);

        Assert.Equal(slot, Where(1, 5));
        Assert.Equal(Slots - 1, _book.FreeSlots);
        Assert.Equal(0, Write(5, 6));
    }

    [Fact]
    public void A_version_whose_content_is_lost_costs_the_snapshots_that_share_it_and_no_others()
    {
        Take(1);
        Write(5, 6);
        Take(2);
        Take(3);
        Write(5, 6);
        Take(4);
        Write(6, 7);

        _book.Lose(Where(2, 5), 1, DropReason.SaveFailed);

        Assert.Equal([2u, 3u], _book.Records.Where(record => record.State == RecordState.Dropped).Select(record => record.Number));
    }

    [Fact]
    public void A_batch_that_lost_content_before_it_was_complete_fails()
    {
        Take(1);
        SaveBatch batch = _book.BeginWrite(5, 7);
        Assert.Equal(StoreStep.Save, _book.Next(batch));

        _book.Lose(batch.Slots[1], 1, DropReason.SaveFailed);
        _book.CompleteSave(batch);

        Assert.Equal(StoreStep.Land, _book.Next(batch));
        Assert.Equal(RecordState.Dropped, Assert.Single(_book.Records).State);
        Assert.Equal(Slots, _book.FreeSlots);
    }

    [Fact]
    public void What_a_deleted_snapshot_had_alone_is_freed()
    {
        Take(1);
        Write(5, 6);
        Take(2);
        Write(5, 6);

        Delete(2);

        Assert.Equal(Slots - 1, _book.FreeSlots);
        Delete(1);
        Assert.Equal(Slots, _book.FreeSlots);
        Assert.Empty(_book.Records);
    }

    [Fact]
    public void A_full_store_drops_the_oldest_and_only_as_many_as_it_must()
    {
        Take(1);
        Write(0, 4);
        Take(2);
        Write(0, 4);
        Take(3);

        Assert.Equal(2, Write(0, 2));

        Assert.Equal(
            [(1u, RecordState.Dropped, DropReason.Full), (2u, RecordState.Provisional, DropReason.None), (3u, RecordState.Provisional, DropReason.None)],
            _book.Records.Select(record => (record.Number, record.State, record.Reason)));
        Assert.Equal(StoreReadStatus.Gone, _book.Locate(1, 0, new int[1]));
    }

    [Fact]
    public void A_write_that_no_store_could_hold_drops_every_snapshot_and_lands()
    {
        Take(1);
        Take(2);

        Write(0, 64);

        Assert.All(_book.Records, record => Assert.Equal(RecordState.Dropped, record.State));
        Assert.Equal(Slots, _book.FreeSlots);
        Assert.Equal(0u, _book.Newest);
    }

    [Fact]
    public void A_failed_save_drops_those_that_need_the_block_and_no_other()
    {
        Take(1);
        Write(5, 6);
        Take(2);
        Take(3);
        SaveBatch batch = _book.BeginWrite(5, 6);
        Assert.Equal(StoreStep.Save, _book.Next(batch));

        _book.FailSave(batch, DropReason.SaveFailed);

        Assert.Equal(StoreStep.Land, _book.Next(batch));
        Assert.True(_book.IsReadable(1));
        Assert.False(_book.IsReadable(2));
        Assert.False(_book.IsReadable(3));
    }

    [Fact]
    public void A_second_writer_of_a_block_waits_until_the_first_has_kept_it()
    {
        Take(1);
        SaveBatch first = _book.BeginWrite(5, 6);
        SaveBatch second = _book.BeginWrite(4, 6);
        Assert.Equal(StoreStep.Save, _book.Next(first));
        Assert.Equal(StoreStep.Save, _book.Next(second)); // block 4
        _book.CompleteSave(second);
        Assert.Equal(StoreStep.Wait, _book.Next(second));

        _book.CompleteSave(first);

        Assert.Equal(StoreStep.Land, _book.Next(second));
    }

    [Fact]
    public void A_reader_that_lost_the_race_is_told_to_read_the_slot()
    {
        Take(1);
        int[] plan = new int[1];
        Assert.Equal(StoreReadStatus.Reading, _book.Locate(1, 5, plan));
        Write(5, 6);

        Assert.Equal(StoreReadStatus.Reading, _book.Recheck(1, 5, plan));
        Assert.True(plan[0] >= 0);
        Assert.Equal(StoreReadStatus.Done, _book.Recheck(1, 5, plan));
    }

    [Fact]
    public void A_process_that_dies_leaves_what_it_kept_and_forgets_what_nobody_has_confirmed()
    {
        Take(1);
        Assert.True(_book.TryKeep(1));
        Write(5, 6);
        Take(2);
        int slot = Where(1, 5);

        _book = new VersionBook(SlotTable.TryOpen(_memory.Memory)!);

        Assert.Equal([1u], _book.Records.Select(record => record.Number));
        Assert.Equal(slot, Where(1, 5));
    }

    [Fact]
    public void A_table_that_is_none_is_not_opened()
    {
        _memory.Memory.Span[20] ^= 1;
        Assert.Null(SlotTable.TryOpen(_memory.Memory));
        Assert.Null(SlotTable.TryOpen(new byte[100]));
    }

    [Fact]
    public void A_slot_whose_check_does_not_fit_is_free()
    {
        Take(1);
        Assert.True(_book.TryKeep(1));
        Write(5, 6);
        int slot = Where(1, 5);
        _memory.Memory.Span[SlotTable.SlotsOffset + (16 * slot)] ^= 1;

        _book = new VersionBook(SlotTable.TryOpen(_memory.Memory)!);

        Assert.Equal(Slots, _book.FreeSlots);
    }

    private void Take(uint number) => Assert.True(_book.TryAdd(number));

    private void Delete(uint number)
    {
        Assert.True(_book.TryDelete(number));
        while (_book.Sweep(1))
        {
        }
    }

    /// <summary>Writes blocks and answers how many were kept for it.</summary>
    private int Write(long first, long end)
    {
        SaveBatch batch = _book.BeginWrite(first, end);
        int kept = 0;
        for (StoreStep step = _book.Next(batch); step != StoreStep.Land; step = _book.Next(batch))
        {
            Assert.Equal(StoreStep.Save, step);
            kept += batch.Count;
            _book.CompleteSave(batch);
        }

        _book.EndWrite(batch);
        return kept;
    }

    private int Where(uint number, long block)
    {
        int[] plan = new int[1];
        Assert.Equal(StoreReadStatus.Reading, _book.Locate(number, block, plan));
        return plan[0];
    }
}
