using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

public sealed class ExtentTests
{
    [Fact]
    public void Intersecting_containing_and_overlapping_agree()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 2000; round++)
        {
            Extent a = Any(random);
            Extent b = Any(random);
            Extent both = a.Intersect(b);
            Assert.Equal(both, b.Intersect(a));
            Assert.Equal(!both.IsEmpty, a.Overlaps(b));
            Assert.Equal(Bytes(a).Intersect(Bytes(b)).LongCount(), both.Length);
            Assert.Equal(a.Contains(b), b.IsEmpty ? a.Contains(b) : both == b);
        }
    }

    [Fact]
    public void Aligning_out_holds_all_of_it_and_aligning_in_lies_within_it()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 2000; round++)
        {
            Extent extent = Any(random);
            Extent outer = extent.AlignOut(8);
            Extent inner = extent.AlignIn(8);
            Assert.True(extent.IsEmpty || outer.Contains(extent));
            Assert.True(inner.IsEmpty || extent.Contains(inner));
            Assert.Equal(0, (outer.Offset | outer.Length | inner.Offset | inner.Length) % 8);
            Assert.True(outer.Length < extent.Length + 16 && inner.Length > extent.Length - 16);
        }
    }

    [Fact]
    public void A_part_is_translated_to_the_whole_and_never_out_of_it()
    {
        Extent part = new(100, 50);
        Assert.Equal(110, part.Translate(10, 40));
        Assert.Throws<ArgumentOutOfRangeException>(() => part.Translate(11, 40));
        Assert.Throws<ArgumentOutOfRangeException>(() => part.Translate(-1, 1));
    }

    [Fact]
    public void It_is_never_negative_and_never_overflows()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new Extent(-1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new Extent(1, -1));
        Assert.Throws<OverflowException>(() => new Extent(long.MaxValue, 1));
        Assert.Throws<OverflowException>(() => new Extent(long.MaxValue - 1, 1).AlignOut(4096));
    }

    private static IEnumerable<long> Bytes(Extent extent) => Enumerable.Range((int)extent.Offset, (int)extent.Length).Select(place => (long)place);

    private static Extent Any(Random random) => new(random.Next(40), random.Next(30));
}
