using System.Globalization;
using Quench.Snapshots.Engine;
using Quench.Tests.Simulation;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class DiffAreaSlotsTests
{
    [Fact]
    public void Memory_is_used_before_the_spill_file()
    {
        DiffAreaSlots slots = new(2, 3);
        Assert.Equal((0, 2), Take(slots, 4));
        Assert.Equal((2, 3), Take(slots, 4));
        Assert.Null(Take(slots, 1));
        slots.Release(1, 2);
        Assert.Equal((1, 1), Take(slots, 4));
        Assert.Equal((2, 1), Take(slots, 4));
    }

    [Fact]
    public void Freeing_what_is_free_is_refused()
    {
        DiffAreaSlots slots = new(4, 0);
        _ = Take(slots, 2);
        Assert.Throws<InvalidOperationException>(() => slots.Release(1, 2));
        slots.Release(0, 2);
        Assert.Throws<InvalidOperationException>(() => slots.Release(0, 1));
    }

    [Fact]
    public void Slots_agree_with_a_naive_model()
    {
        long seed = long.Parse(Environment.GetEnvironmentVariable("QUENCH_SEED") ?? "1", CultureInfo.InvariantCulture);
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        Dice dice = new(seed);
        bool[] taken = new bool[200];
        DiffAreaSlots slots = new(70, 130);
        int peak = 0;
        for (int i = 0; i < 20_000; i++)
        {
            if (dice.OneIn(2))
            {
                TakeBoth(slots, taken, dice.Between(1, 20));
            }
            else
            {
                ReleaseBoth(slots, taken, dice.Below(200), dice.Between(1, 30));
            }

            int used = taken.Count(isTaken => isTaken);
            peak = Math.Max(peak, used);
            Assert.Equal((used, peak, 200 - used), (slots.Used, slots.Peak, slots.Free));
        }
    }

    private static void TakeBoth(DiffAreaSlots slots, bool[] taken, int wanted)
    {
        int first = Array.IndexOf(taken, false);
        int end = first;
        int border = first < 70 ? 70 : 200;
        while (first >= 0 && end < border && end < first + wanted && !taken[end])
        {
            taken[end++] = true;
        }

        Assert.Equal(first < 0 ? null : (first, end - first), Take(slots, wanted));
    }

    private static void ReleaseBoth(DiffAreaSlots slots, bool[] taken, int first, int most)
    {
        int end = first;
        while (end < taken.Length && end < first + most && taken[end])
        {
            taken[end++] = false;
        }

        slots.Release(first, end - first);
    }

    private static (long First, long Count)? Take(DiffAreaSlots slots, long wanted) =>
        slots.TryTake(wanted, out long first, out long count) ? (first, count) : null;
}
