using Quench.Snapshots.Store;
using Xunit;

namespace Quench.Tests.Snapshots.Store;

/// <summary>What is found in a ring whose process has died.</summary>
public sealed class RingMemoryTests
{
    private const int Cells = 4;
    private const int Block = 4096;

    private static readonly Guid s_store = Guid.NewGuid();

    private readonly byte[] _bytes = new byte[RingMemory.BytesFor(Cells, Block)];

    [Fact]
    public void The_content_of_a_slot_is_in_the_marked_cell_with_the_largest_sequence()
    {
        RingMemory ring = RingMemory.Format(_bytes, Cells, Block, s_store);
        ring.Set(cell: 3, slot: 7, position: 1);
        ring.Set(cell: 0, slot: 7, position: 5);
        ring.Set(cell: 1, slot: 7, position: 3);

        Assert.Equal([7, -1, -1, -1], Open().Adopt(static _ => true));
        Assert.Equal([7, -1, -1, -1], Open().Adopt(static _ => true)); // the others were cleared, and nothing else
    }

    [Fact]
    public void What_the_next_process_puts_there_is_newer_than_what_it_found()
    {
        RingMemory ring = RingMemory.Format(_bytes, Cells, Block, s_store);
        ring.Set(cell: 2, slot: 9, position: 1000);
        RingMemory next = Open();
        Assert.Equal([-1, -1, 9, -1], next.Adopt(static _ => true));
        next.Set(cell: 1, slot: 9, position: 4); // its own positions begin anew

        Assert.Equal([-1, 9, -1, -1], Open().Adopt(static _ => true));
    }

    [Fact]
    public void A_slot_that_the_table_does_not_know_as_taken_and_a_cell_that_was_cleared_hold_nothing()
    {
        RingMemory ring = RingMemory.Format(_bytes, Cells, Block, s_store);
        ring.Set(cell: 0, slot: 0, position: 0);
        ring.Set(cell: 1, slot: 1, position: 1);
        ring.Set(cell: 2, slot: 2, position: 2);
        ring.Clear(2);

        Assert.Equal([0, -1, -1, -1], Open().Adopt(static slot => slot == 0));
        Assert.Equal([0, -1, -1, -1], Open().Adopt(static _ => true));
    }

    [Fact]
    public void A_ring_of_another_store_a_cut_one_and_a_damaged_one_are_not_opened()
    {
        RingMemory.Format(_bytes, Cells, Block, s_store);
        Assert.NotNull(RingMemory.TryOpen(_bytes, s_store));
        Assert.Null(RingMemory.TryOpen(_bytes, Guid.NewGuid()));
        Assert.Null(RingMemory.TryOpen(_bytes.AsMemory(0, _bytes.Length - 1), s_store));
        Assert.Null(RingMemory.TryOpen(new byte[64], s_store));
        _bytes[9] ^= 1;
        Assert.Null(RingMemory.TryOpen(_bytes, s_store));
    }

    private RingMemory Open() => RingMemory.TryOpen(_bytes, s_store)!;
}
