using Quench.Blocks;
using Quench.Snapshots.Providers.Tracked;
using Xunit;

namespace Quench.Tests.Snapshots.Tracked;

/// <summary>The record beside a tracker that stands: written, read, damaged.</summary>
public sealed class StandingRecordTests
{
    private const long Length = 100L << 20;

    [Fact]
    public void What_is_written_is_read()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 50; round++)
        {
            List<StandingPoint> points = [.. Enumerable.Range(0, random.Next(0, 4)).Select(_ => Point(random))];
            IReadOnlyList<StandingPoint> read = StandingRecord.Decode(StandingRecord.Encode(points), Length);
            Assert.Equal(points.Select(point => (point.Vault, point.Point)), read.Select(point => (point.Vault, point.Point)));
            Assert.Equal(points.SelectMany(point => point.Used.Runs()), read.SelectMany(point => point.Used.Runs()));
            Assert.Equal(points.SelectMany(point => point.Changed.Runs()), read.SelectMany(point => point.Changed.Runs()));
        }
    }

    [Fact]
    public void A_record_that_was_damaged_in_any_byte_is_refused()
    {
        Random random = TestSeed.NewRandom();
        byte[] sound = StandingRecord.Encode([Point(random), Point(random)]);
        for (int at = 0; at < sound.Length; at++)
        {
            byte[] damaged = [.. sound];
            damaged[at] ^= (byte)random.Next(1, 256);
            Assert.Throws<InvalidDataException>(() => StandingRecord.Decode(damaged, Length));
        }

        for (int length = 0; length < sound.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => StandingRecord.Decode(sound.AsSpan(0, length), Length));
        }
    }

    [Fact]
    public void A_record_of_a_volume_of_another_size_is_refused()
    {
        byte[] record = StandingRecord.Encode([Point(TestSeed.NewRandom())]);
        Assert.Throws<InvalidDataException>(() => StandingRecord.Decode(record, Length + 4096));
    }

    private static StandingPoint Point(Random random) => new(Guid.NewGuid(), Guid.NewGuid(), Blocks(random, 4096), Blocks(random, 65536));

    private static UsedBlocks Blocks(Random random, int blockSize)
    {
        UsedBlocks blocks = new(Length, blockSize);
        for (int run = random.Next(6); run > 0; run--)
        {
            long offset = random.NextInt64(Length);
            blocks.Add(new Extent(offset, random.NextInt64(1, Length - offset + 1)));
        }

        return blocks;
    }
}
