using Quench.Blocks;
using Quench.Imaging.Capture;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class CaptureOrderTests
{
    private const int Chunk = 16 * 1024;
    private const int Segment = 1 << 20;

    [Fact]
    public void Every_planned_chunk_is_handed_out_once_whatever_the_diff_area_says_in_between()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 100; round++)
        {
            CapturePlan plan = RandomPlan(random, random.Next(1, 64 << 20));
            CaptureOrder order = new(plan, Segment);
            BlockBitmap seen = new(plan.Chunks.Length);
            while (order.TryTake(out Extent segment))
            {
                Assert.True(segment.Length <= Segment && segment.Offset % Chunk == 0);
                for (long chunk = segment.Offset / Chunk; chunk * Chunk < segment.End; chunk++)
                {
                    Assert.False(seen[chunk]);
                    seen.Set(chunk);
                }

                if (random.Next(3) == 0)
                {
                    order.Learn(random.Next(2) == 0, RandomExtents(random, plan.Length));
                }
            }

            Assert.Equal(plan.Chunks.SetRuns(), seen.SetRuns());
        }
    }

    [Fact]
    public void Saved_extents_come_first_when_the_diff_area_is_nearly_full()
    {
        CaptureOrder order = new(AllInUse(64 << 20), Segment);
        Assert.True(order.TryTake(out Extent first));
        Assert.Equal(0, first.Offset);
        order.Learn(nearlyFull: true, [new Extent((40 << 20) + 100, 10), new Extent(20 << 20, 3 * Chunk)]);
        Assert.True(order.TryTake(out Extent second));
        Assert.Equal(new Extent(40 << 20, Chunk), second);
        Assert.True(order.TryTake(out Extent third));
        Assert.Equal(new Extent(20 << 20, 3 * Chunk), third);
        Assert.True(order.TryTake(out Extent fourth));
        Assert.Equal(new Extent(Segment, Segment), fourth);
    }

    [Fact]
    public void Saved_extents_that_were_handed_out_already_are_passed_over()
    {
        CaptureOrder order = new(AllInUse(4 << 20), Segment);
        Assert.True(order.TryTake(out _));
        order.Learn(nearlyFull: true, [new Extent(0, Segment)]);
        Assert.True(order.TryTake(out Extent next));
        Assert.Equal(Segment, next.Offset);
    }

    [Fact]
    public void The_diff_area_is_looked_at_every_four_mebibytes_and_in_an_emergency_after_each_saved_extent()
    {
        CaptureOrder order = new(AllInUse(64 << 20), Segment);
        Assert.True(order.IsLookDue);
        order.Learn(nearlyFull: false, []);
        for (int segment = 0; segment < 4; segment++)
        {
            Assert.False(order.IsLookDue);
            Assert.True(order.TryTake(out _));
        }

        Assert.True(order.IsLookDue);
        order.Learn(nearlyFull: true, [new Extent(30 << 20, Chunk)]);
        Assert.False(order.IsLookDue);
        Assert.True(order.TryTake(out _));
        Assert.True(order.TryTake(out _));
        Assert.True(order.IsLookDue);
    }

    private static CapturePlan AllInUse(long length) => new(UsedBlocks.All(length), Chunk);

    private static CapturePlan RandomPlan(Random random, long length)
    {
        UsedBlocks used = new(length, 4096);
        foreach (Extent extent in RandomExtents(random, length))
        {
            used.Add(extent);
        }

        return new CapturePlan(used, Chunk);
    }

    private static List<Extent> RandomExtents(Random random, long length)
    {
        List<Extent> extents = [];
        for (int count = random.Next(10); count > 0; count--)
        {
            long start = random.NextInt64(length);
            extents.Add(new Extent(start, random.NextInt64(Math.Min(length - start, 8 << 20)) + 1));
        }

        return extents;
    }
}
