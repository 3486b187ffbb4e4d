using Quench.Blocks;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class ScanPlanTests
{
    private enum Fate
    {
        Kept,
        Read,
        Hole,
    }

    [Fact]
    public void Each_chunk_meets_the_fate_that_a_look_at_every_byte_decides()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 300; round++)
        {
            int length = random.Next(1, 4000);
            int chunkSize = 1 << random.Next(4, 9);
            UsedBlocks now = RandomMap(random, length);
            UsedBlocks then = random.Next(4) == 0 ? now : RandomMap(random, length);
            UsedBlocks changed = RandomMap(random, length);
            UsedBlocks doubtful = RandomMap(random, length);
            CapturePlan whole = new(now, chunkSize);
            ScanPlan plan = new(whole, now, new VolumeChanges(Guid.NewGuid(), changed, doubtful, then, null));
            for (int chunk = 0; chunk * chunkSize < length; chunk++)
            {
                int[] bytes = [.. Enumerable.Range(chunk * chunkSize, Math.Min(chunkSize, length - (chunk * chunkSize)))];
                bool usedNow = bytes.Any(at => Has(now, at));
                bool usedThen = bytes.Any(at => Has(then, at));
                bool known = bytes.Any(at => Has(changed, at) || Has(now, at) != Has(then, at));
                bool read = usedNow && (known || bytes.Any(at => Has(doubtful, at)));
                Assert.Equal(read ? Fate.Read : usedThen && !usedNow ? Fate.Hole : Fate.Kept, FateOf(plan, chunk));
                Assert.Equal(read && !known, plan.DoubtfulChunks[chunk]);
                Assert.Equal(usedNow && !read, plan.Unchanged[chunk]);
                Assert.Equal(plan.ToRead.Chunks[chunk] || plan.Holes[chunk], plan.Touched()[chunk]);
            }

            UsedBlocks inPlan = plan.ToRead.UsedInPlan();
            Assert.All(Enumerable.Range(0, length), at => Assert.Equal(plan.ToRead.Chunks[at / chunkSize] && Has(now, at), Has(inPlan, at) && plan.ToRead.Chunks[at / chunkSize]));
        }
    }

    [Fact]
    public void The_sample_is_a_hundredth_within_its_bounds_of_chunks_that_are_called_unchanged()
    {
        Random random = TestSeed.NewRandom();
        Assert.Empty(MapSample.Choose(new BlockBitmap(100), 1 << 16, random));
        foreach ((long unchanged, int expected) in new[] { (1L, 1), (63, 63), (64, 64), (1000, 64), (6400, 64), (6401, 65), (50_000, 500), (3_000_000, 1024) })
        {
            BlockBitmap bits = new(unchanged * 2);
            bits.SetRange(unchanged / 2, unchanged);
            IReadOnlyList<long> chosen = MapSample.Choose(bits, 1 << 16, random);
            Assert.Equal(expected, chosen.Count);
            Assert.Equal(chosen.Distinct().Order(), chosen);
            Assert.All(chosen, chunk => Assert.True(bits[chunk]));
        }
    }

    [Fact]
    public void A_map_that_is_wrong_about_a_fiftieth_passes_the_sample_as_often_as_is_stated()
    {
        Random random = TestSeed.NewRandom();
        const int Unchanged = 3000;
        const int Wrong = Unchanged / 50;
        const int Trials = 4000;
        BlockBitmap bits = new(10_000);
        for (int chunk = 0; chunk < Unchanged; chunk++)
        {
            bits.Set(chunk * 3);
        }

        int passed = 0;
        for (int trial = 0; trial < Trials; trial++)
        {
            int first = random.Next(Unchanged - Wrong); // in one run, as lies are wont to be
            passed += MapSample.Choose(bits, 1 << 16, random).Any(chunk => chunk / 3 >= first && chunk / 3 < first + Wrong) ? 0 : 1;
        }

        double stated = Math.Pow(1 - ((double)Wrong / Unchanged), MapSample.Least); // 0.274; without replacement a little less
        double exact = Enumerable.Range(0, MapSample.Least).Aggregate(1.0, (p, drawn) => p * (Unchanged - Wrong - drawn) / (Unchanged - drawn));
        double deviation = Math.Sqrt(exact * (1 - exact) / Trials);
        Assert.True(exact <= stated);
        Assert.InRange((double)passed / Trials, exact - (5 * deviation), exact + (5 * deviation));
    }

    private static Fate FateOf(ScanPlan plan, int chunk)
    {
        Assert.False(plan.ToRead.Chunks[chunk] && plan.Holes[chunk]);
        return plan.ToRead.Chunks[chunk] ? Fate.Read : plan.Holes[chunk] ? Fate.Hole : Fate.Kept;
    }

    private static bool Has(UsedBlocks map, int at) => map.Bits[at / map.BlockSize];

    private static UsedBlocks RandomMap(Random random, int length)
    {
        UsedBlocks map = new(length, 1 << random.Next(3, 10));
        for (int extents = random.Next(5); extents > 0; extents--)
        {
            int start = random.Next(length);
            map.Add(new Extent(start, random.Next(1 + Math.Min(length - start, 600))));
        }

        return map;
    }
}
