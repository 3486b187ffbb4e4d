using Quench.Imaging.Activity.Writers;
using Xunit;

namespace Quench.Tests.Imaging.Activity;

/// <summary>The count of different blocks in every stretch of time, against sets.</summary>
public sealed class DistinctBlocksTests
{
    [Fact]
    public void Each_stretch_has_as_many_different_blocks_as_a_set_finds()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 200; round++)
        {
            int seconds = random.Next(1, 40);
            int[] windows = [1, random.Next(2, 6), random.Next(6, 50)];
            (int Second, long Offset, long Length)[] writes =
            [
                .. Enumerable.Range(0, random.Next(60)).Select(_ => (random.Next(seconds), (long)random.Next(40_000), (long)random.Next(20_000))).OrderBy(write => write.Item1),
            ];
            DistinctBlocks blocks = new(windows);
            foreach ((int second, long offset, long length) in writes)
            {
                blocks.Add(second, offset, length);
            }

            Assert.Equal(Set(writes, 0, seconds), blocks.Total);
            foreach (int window in windows)
            {
                Assert.Equal(Enumerable.Range(0, Math.Max(0, seconds - window + 1)).Select(begin => Set(writes, begin, begin + window)), blocks.CountSpans(window, seconds));
            }
        }
    }

    [Fact]
    public void A_write_that_comes_late_counts_in_the_newest_second()
    {
        DistinctBlocks blocks = new([1]);
        blocks.Add(5, 0, 4096);
        blocks.Add(4, 4096, 4096);
        Assert.Equal([0, 0, 0, 0, 0, 2], blocks.CountSpans(1, 6));
    }

    private static long Set((int Second, long Offset, long Length)[] writes, int from, int to)
    {
        HashSet<long> set = [];
        foreach ((int second, long offset, long length) in writes)
        {
            for (long block = offset / DistinctBlocks.BlockBytes; second >= from && second < to && block * DistinctBlocks.BlockBytes < offset + length && length > 0; block++)
            {
                set.Add(block);
            }
        }

        return set.Count;
    }
}
