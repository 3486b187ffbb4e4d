using Quench.Snapshots.Providers.Filter;
using Xunit;

namespace Quench.Tests.Snapshots.Filter;

public sealed class SpillRingTests
{
    [Fact]
    public void Neighbours_are_written_together()
    {
        SpillRing ring = new(16, writers: 2);
        Fill(ring, slot: 5, count: 1);
        Fill(ring, slot: 6, count: 3);
        Fill(ring, slot: 20, count: 1);
        Assert.True(ring.TryTakeRun(100, out SpillRun run));
        Assert.Equal(new SpillRun(0, 5, 4), run);
        Assert.True(ring.TryTakeRun(100, out SpillRun other));
        Assert.Equal(new SpillRun(4, 20, 1), other);
        Assert.False(ring.TryTakeRun(100, out _));
    }

    [Fact]
    public void A_run_is_no_longer_than_asked_and_does_not_go_round_the_end()
    {
        SpillRing ring = new(4, writers: 2);
        Fill(ring, slot: 0, count: 3);
        Assert.True(ring.TryTakeRun(2, out SpillRun first));
        Assert.Equal(2, first.Count);
        Assert.True(ring.TryTakeRun(9, out SpillRun second));
        ring.Complete(first);
        ring.Complete(second);
        Assert.True(ring.IsEmpty);
        Assert.True(ring.TryReserve(4, out long position, out int count));
        Assert.Equal((3L, 1), (position, count));
    }

    [Fact]
    public void A_slot_is_found_in_its_cell_until_it_is_in_the_file()
    {
        SpillRing ring = new(8, writers: 2);
        Fill(ring, slot: 7, count: 2);
        Assert.Equal(2, ring.Find(7, 5, out long position));
        Assert.Equal(0, position);
        Assert.True(ring.TryTakeRun(8, out SpillRun run));
        Assert.Equal(2, ring.Find(7, 2, out position));
        Assert.Equal(0, position);
        ring.Complete(run);
        Assert.Equal(5, ring.Find(7, 5, out position));
        Assert.Equal(-1, position);
        Assert.False(ring.IsAt(7, 0));
    }

    [Fact]
    public void A_slot_that_is_used_again_is_not_written_twice_when_nobody_had_begun()
    {
        SpillRing ring = new(8, writers: 2);
        Fill(ring, slot: 7, count: 1);
        Fill(ring, slot: 7, count: 1);
        Assert.Equal(1, ring.Backlog);
        Assert.True(ring.TryTakeRun(8, out SpillRun run));
        Assert.Equal(new SpillRun(1, 7, 1), run);
        ring.Complete(run);
        Assert.True(ring.IsEmpty);
    }

    [Fact]
    public void A_slot_that_is_used_again_while_it_is_written_waits_for_that_write()
    {
        SpillRing ring = new(8, writers: 2);
        Fill(ring, slot: 7, count: 1);
        Assert.True(ring.TryTakeRun(8, out SpillRun stuck));
        Fill(ring, slot: 7, count: 1);
        Fill(ring, slot: 9, count: 1);
        Assert.True(ring.TryTakeRun(8, out SpillRun other));
        Assert.Equal(9, other.FirstSlot);
        Assert.False(ring.TryTakeRun(8, out _));
        ring.Complete(stuck);
        Assert.True(ring.IsAt(7, 1));
        Assert.True(ring.TryTakeRun(8, out SpillRun again));
        Assert.Equal(new SpillRun(1, 7, 1), again);
    }

    [Fact]
    public void Cells_that_are_given_up_hold_nobody_up()
    {
        SpillRing ring = new(2, writers: 2);
        Assert.True(ring.TryReserve(2, out long position, out int count));
        Assert.False(ring.TryReserve(1, out _, out _));
        ring.Abandon(position, count);
        Assert.True(ring.TryReserve(2, out _, out count));
        Assert.Equal(2, count);
    }

    /// <summary>Cells and file as numbers, in any order of events: what a slot holds is always what was put there last.</summary>
    [Fact]
    public void Whatever_happens_in_whatever_order_the_newest_content_of_a_slot_is_found_and_ends_in_the_file()
    {
        Random random = TestSeed.NewRandom();
        for (int world = 0; world < 300; world++)
        {
            Live(random, capacity: random.Next(1, 20), slots: random.Next(1, 30));
        }
    }

    private static void Live(Random random, int capacity, int slots)
    {
        SpillRing ring = new(capacity, writers: 2);
        int[] cells = new int[capacity];
        int[] file = new int[slots];
        int[] model = new int[slots];
        List<SpillRun> writing = [];
        List<(long Position, int Count)> filling = [];
        int sequence = 0;
        for (int step = 0; step < 400; step++)
        {
            switch (random.Next(5))
            {
                case 0 when ring.TryReserve(random.Next(1, 6), out long position, out int count):
                    filling.Add((position, count));
                    break;
                case 1 when filling.Count > 0:
                    (long at, int many) = Take(filling, random);
                    long first = random.Next(slots);
                    if (first + many > slots || random.Next(8) == 0)
                    {
                        ring.Abandon(at, many);
                        break;
                    }

                    for (int index = 0; index < many; index++)
                    {
                        model[first + index] = cells[ring.CellOf(at + index)] = ++sequence;
                    }

                    ring.Fill(new SpillRun(at, first, many), step);
                    break;
                case 2 or 3 when writing.Count < 2 && ring.TryTakeRun(random.Next(1, 8), out SpillRun run):
                    writing.Add(run);
                    break;
                case 4 when writing.Count > 0:
                    Write(ring, Take(writing, random), cells, file);
                    break;
            }

            for (int slot = 0; slot < slots; slot++)
            {
                ring.Find(slot, 1, out long position);
                Assert.Equal(model[slot], position >= 0 ? cells[ring.CellOf(position)] : file[slot]);
            }
        }

        filling.ForEach(one => ring.Abandon(one.Position, one.Count));
        writing.ForEach(run => Write(ring, run, cells, file));
        while (ring.TryTakeRun(3, out SpillRun run))
        {
            Write(ring, run, cells, file);
        }

        Assert.True(ring.IsEmpty);
        Assert.Equal(model, file);
    }

    private static void Write(SpillRing ring, SpillRun run, int[] cells, int[] file)
    {
        for (int index = 0; index < run.Count; index++)
        {
            file[run.FirstSlot + index] = cells[ring.CellOf(run.Position + index)];
        }

        ring.Complete(run);
    }

    private static T Take<T>(List<T> list, Random random)
    {
        int index = random.Next(list.Count);
        T one = list[index];
        list.RemoveAt(index);
        return one;
    }

    private static void Fill(SpillRing ring, long slot, int count)
    {
        Assert.True(ring.TryReserve(count, out long position, out int given));
        Assert.Equal(count, given);
        ring.Fill(new SpillRun(position, slot, count), 1);
    }
}
