using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Blocks;

/// <summary>The bitmap and the used-block map against one bool a block.</summary>
public sealed class BlockBitmapProperties
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(63)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(500)]
    public void It_holds_what_one_bool_a_block_holds(int size)
    {
        Random random = TestSeed.NewRandom();
        BlockBitmap bitmap = new(size);
        bool[] model = new bool[size];
        for (int step = 0; step < 300; step++)
        {
            int first = random.Next(size + 1);
            int count = random.Next(size - first + 1);
            bool set = random.Next(2) == 0;
            if (set)
            {
                bitmap.SetRange(first, count);
            }
            else
            {
                bitmap.ClearRange(first, count);
            }

            model.AsSpan(first, count).Fill(set);
            Holds(bitmap, model, random.Next(size + 1));
        }
    }

    [Fact]
    public void What_leaves_it_is_refused()
    {
        BlockBitmap bitmap = new(100);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[100]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[-1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.SetRange(99, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap.CountSet(long.MaxValue, 1));
    }

    [Fact]
    public void A_used_block_map_counts_every_block_an_extent_touches_and_ends_with_the_volume()
    {
        Random random = TestSeed.NewRandom();
        for (int world = 0; world < 100; world++)
        {
            int length = random.Next(1, 100_000);
            int blockSize = 512 << random.Next(4);
            UsedBlocks used = new(length, blockSize);
            bool[] model = new bool[length];
            for (int step = 0; step < 10; step++)
            {
                int offset = random.Next(length);
                Extent extent = new(offset, random.Next(Math.Min(5000, length - offset) + 1));
                used.Add(extent);
                Extent blocks = extent.IsEmpty ? default : extent.AlignOut(blockSize).Intersect(new Extent(0, length));
                model.AsSpan((int)blocks.Offset, (int)blocks.Length).Fill(true);
            }

            Assert.Equal(model.Count(bit => bit), used.TotalLength);
            Assert.Equal(used.TotalLength, used.Runs().Sum(run => run.Length));
            Assert.All(used.Runs(), run => Assert.DoesNotContain(false, model[(int)run.Offset..(int)run.End]));
            int probe = random.Next(length);
            Assert.Equal(model[probe], used.Overlaps(new Extent(probe, 1)));
        }
    }

    [Fact]
    public void All_of_a_volume_is_all_of_it() => Assert.Equal(1_000_001, UsedBlocks.All(1_000_001).TotalLength);

    private static void Holds(BlockBitmap bitmap, bool[] model, int probe)
    {
        Assert.Equal(model.Count(bit => bit), bitmap.CountSet());
        Assert.Equal(model[probe..].Count(bit => bit), bitmap.CountSet(probe, model.Length - probe));
        Assert.Equal(Array.IndexOf(model, true, probe), bitmap.NextSet(probe));
        Assert.Equal(Array.IndexOf(model, false, probe), bitmap.NextClear(probe));
        bool[] shown = new bool[model.Length];
        foreach ((long first, long count) in bitmap.SetRuns())
        {
            shown.AsSpan((int)first, (int)count).Fill(true);
        }

        Assert.Equal(model, shown);
        if (probe < model.Length)
        {
            Assert.Equal(model[probe], bitmap[probe]);
        }
    }
}
