using Quench.Blocks;
using Quench.Snapshots.Tracking;
using Xunit;

namespace Quench.Tests.Snapshots.Tracking;

public sealed class BlockRunsTests
{
    [Fact]
    public void A_map_comes_back_as_it_was_and_never_takes_more_than_a_bit_a_block()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 300; round++)
        {
            long length = random.NextInt64(1, 1L << 26);
            UsedBlocks map = new(length, 4096 << random.Next(5));
            int runs = random.Next(4) == 0 ? random.Next(20_000) : random.Next(5);
            for (int run = 0; run < runs; run++)
            {
                long offset = random.NextInt64(length);
                map.Add(Extent.FromTo(offset, Math.Min(length, offset + random.NextInt64(1, 1 << 16))));
            }

            byte[] stored = BlockRuns.Encode(map);
            ReadOnlySpan<byte> source = stored;
            UsedBlocks back = BlockRuns.DecodeUsed(ref source, length);

            Assert.Equal(map.Runs(), back.Runs());
            Assert.True(source.IsEmpty);
            Assert.True(stored.Length <= 21 + ((map.Bits.Length + 7) / 8));
        }
    }

    [Fact]
    public void Bytes_that_are_no_map_are_refused_and_never_end_in_another_error()
    {
        Random random = TestSeed.NewRandom();
        UsedBlocks map = new(1 << 24, 4096);
        map.Add(new Extent(4096, 1 << 20));
        byte[] sound = BlockRuns.Encode(map);
        int refused = 0;
        for (int round = 0; round < 2000; round++)
        {
            byte[] bytes = sound[..random.Next(sound.Length + 1)];
            for (int flip = 0; flip < 2 && bytes.Length > 0; flip++)
            {
                bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            }

            try
            {
                ReadOnlySpan<byte> source = bytes;
                BlockRuns.DecodeUsed(ref source, 1 << 24);
            }
            catch (InvalidDataException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1000, 2000);
    }

    [Fact]
    public void The_runs_of_words_are_those_of_their_bits()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 500; round++)
        {
            ulong[] words = new ulong[1 + random.Next(4)];
            BlockBitmap bits = new(words.Length * 64L);
            for (int run = random.Next(6); run > 0; run--)
            {
                long first = random.NextInt64(bits.Length);
                long count = 1 + random.NextInt64(bits.Length - first);
                bits.SetRange(first, count);
                ChangeMap.AddRun(words, first, count);
            }

            Assert.Equal(bits.SetRuns(), ChangeMap.RunsOf(words));
        }
    }
}
