using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

public sealed class BlockBitmapSearchTests
{
    [Fact]
    public void A_bounded_search_agrees_with_looking_at_each_bit()
    {
        bool[] naive = new bool[300];
        BlockBitmap bits = new(naive.Length);
        foreach ((int first, int count) in new[] { (0, 1), (3, 2), (60, 10), (128, 64), (255, 3), (299, 1) })
        {
            bits.SetRange(first, count);
            Array.Fill(naive, true, first, count);
        }

        for (int end = 0; end <= naive.Length; end++)
        {
            for (int block = 0; block <= end; block++)
            {
                int set = Array.IndexOf(naive, true, block, end - block);
                int clear = Array.IndexOf(naive, false, block, end - block);
                Assert.Equal(set < 0 ? end : set, bits.NextSet(block, end));
                Assert.Equal(clear < 0 ? end : clear, bits.NextClear(block, end));
            }
        }
    }

    [Fact]
    public void A_search_beyond_the_last_block_is_refused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => new BlockBitmap(10).NextSet(0, 11));
}
