using System.Globalization;
using Quench.Snapshots.Engine;
using Quench.Tests.Simulation;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

public sealed class SlotMapTests
{
    [Fact]
    public void The_map_agrees_with_a_dictionary()
    {
        long seed = long.Parse(Environment.GetEnvironmentVariable("QUENCH_SEED") ?? "1", CultureInfo.InvariantCulture);
        TestContext.Current.TestOutputHelper!.WriteLine($"seed {seed}");
        Dice dice = new(seed);
        SlotMap map = new(30_000);
        Dictionary<long, long> naive = [];
        for (int i = 0; i < 50_000; i++)
        {
            long block = dice.OneIn(2) ? dice.Below(20) : dice.Below(30_000);
            if (naive.Remove(block, out long slot))
            {
                Assert.Equal(slot, map.Remove(block));
            }
            else
            {
                naive.Add(block, i);
                map.Add(block, i);
            }

            Assert.Equal(naive.GetValueOrDefault(block, -1), map[block]);
        }
    }

    [Fact]
    public void Empty_pages_are_skipped()
    {
        SlotMap map = new(20_000);
        Assert.Equal(20_000, map.SkipEmpty(0));
        map.Add(9_000, 1);
        Assert.Equal(8_192, map.SkipEmpty(0));
        Assert.Equal(9_100, map.SkipEmpty(9_100));
        Assert.Equal(20_000, map.SkipEmpty(12_288));
        _ = map.Remove(9_000);
        Assert.Equal(20_000, map.SkipEmpty(0));
    }

    [Fact]
    public void A_block_is_in_one_slot_at_most()
    {
        SlotMap map = new(10);
        map.Add(3, 0);
        Assert.Throws<InvalidOperationException>(() => map.Add(3, 1));
        Assert.Throws<InvalidOperationException>(() => map.Remove(4));
    }
}
