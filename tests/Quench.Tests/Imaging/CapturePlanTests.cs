using Quench.Blocks;
using Quench.Imaging.Capture;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class CapturePlanTests
{
    [Fact]
    public void A_chunk_is_planned_exactly_if_it_holds_a_used_byte()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 200; round++)
        {
            (CapturePlan plan, bool[] used) = RandomPlan(random);
            for (int chunk = 0; chunk * plan.ChunkSize < plan.Length; chunk++)
            {
                int end = (int)Math.Min((chunk + 1L) * plan.ChunkSize, plan.Length);
                bool any = used.AsSpan((chunk * plan.ChunkSize)..end).Contains(true);
                Assert.Equal(any, plan.Chunks[chunk]);
            }

            Assert.Equal(used.Count(one => one), plan.UsedBytes);
        }
    }

    [Fact]
    public void Unused_bytes_become_zeros_and_used_ones_stay()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 200; round++)
        {
            (CapturePlan plan, bool[] used) = RandomPlan(random);
            byte[] content = random.NextBytes((int)plan.Length);
            int from = random.Next(content.Length);
            int length = random.Next(content.Length - from + 1);
            byte[] zeroed = content.AsSpan(from, length).ToArray();
            plan.ZeroUnused(from, zeroed);
            for (int at = 0; at < length; at++)
            {
                Assert.Equal(used[from + at] ? content[from + at] : 0, zeroed[at]);
            }
        }
    }

    private static (CapturePlan Plan, bool[] Used) RandomPlan(Random random)
    {
        int blockSize = 1 << random.Next(3, 9);
        int length = random.Next(1, 5000);
        UsedBlocks blocks = new(length, blockSize);
        for (int extents = random.Next(6); extents > 0; extents--)
        {
            int start = random.Next(length);
            blocks.Add(new Extent(start, random.Next(length - start + 1)));
        }

        bool[] used = [.. Enumerable.Range(0, length).Select(at => blocks.Bits[at / blockSize])];
        return (new CapturePlan(blocks, 1 << random.Next(4, 10)), used);
    }
}
