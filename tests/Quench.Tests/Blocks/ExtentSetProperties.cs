using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

/// <summary>The set of extents against one bool a byte.</summary>
public sealed class ExtentSetProperties
{
    private const int Size = 200;

    [Fact]
    public void It_holds_what_one_bool_a_byte_holds()
    {
        Random random = TestSeed.NewRandom();
        for (int world = 0; world < 200; world++)
        {
            ExtentSet set = [];
            bool[] model = new bool[Size];
            for (int step = 0; step < 60; step++)
            {
                Extent extent = Any(random);
                bool add = random.Next(3) != 0;
                if (add)
                {
                    set.Add(extent);
                }
                else
                {
                    set.Remove(extent);
                }

                model.AsSpan((int)extent.Offset, (int)extent.Length).Fill(add);
                Holds(set, model, Any(random));
            }
        }
    }

    [Fact]
    public void The_order_of_adding_does_not_matter()
    {
        Random random = TestSeed.NewRandom();
        for (int world = 0; world < 200; world++)
        {
            Extent[] extents = [.. Enumerable.Range(0, 20).Select(_ => Any(random))];
            ExtentSet one = new(extents);
            random.Shuffle(extents);
            Assert.Equal(one, new ExtentSet(extents));
        }
    }

    private static void Holds(ExtentSet set, bool[] model, Extent probe)
    {
        bool[] shown = new bool[Size];
        long before = -1;
        foreach (Extent extent in set)
        {
            Assert.True(extent.Offset > before, "extents are in order and do not touch");
            Assert.False(extent.IsEmpty);
            shown.AsSpan((int)extent.Offset, (int)extent.Length).Fill(true);
            before = extent.End;
        }

        Assert.Equal(model, shown);
        Assert.Equal(model.Count(bit => bit), set.TotalLength);
        bool[] part = model[(int)probe.Offset..(int)probe.End];
        Assert.Equal(part.All(bit => bit), set.Contains(probe));
        Assert.Equal(part.Any(bit => bit), set.Overlaps(probe));
        Assert.Equal(part.Count(bit => bit), set.Within(probe).Sum(extent => extent.Length));
        Assert.Equal(part.Count(bit => !bit), set.Outside(probe).Sum(extent => extent.Length));
        Assert.All(set.Within(probe), extent => Assert.True(probe.Contains(extent) && set.Contains(extent)));
        Assert.All(set.Outside(probe), extent => Assert.True(probe.Contains(extent) && !set.Overlaps(extent)));
        if (probe.Offset < Size)
        {
            Assert.Equal(model[probe.Offset], set.Contains(probe.Offset));
        }
    }

    private static Extent Any(Random random)
    {
        int offset = random.Next(Size);
        return new Extent(offset, random.Next(Math.Min(30, Size - offset) + 1));
    }
}
