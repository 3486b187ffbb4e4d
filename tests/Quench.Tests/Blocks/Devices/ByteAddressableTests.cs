using Quench.Blocks;
using Quench.Blocks.Devices;
using Xunit;

namespace Quench.Tests.Blocks.Devices;

public sealed class ByteAddressableTests
{
    private const int Length = 300_000; // not whole sectors, more than an edge buffer

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(512)]
    [InlineData(4096)]
    public async Task Any_bytes_read_and_write_as_in_plain_memory(int sector)
    {
        Random random = TestSeed.NewRandom();
        await using WritableByteAddressable device = new(new MemoryDevice(Length, sector));
        byte[] model = new byte[Length];
        for (int round = 0; round < 400; round++)
        {
            int offset = random.Next(Length);
            int length = random.Next(Math.Min(Length - offset, round % 7 == 0 ? Length : 9000) + 1);
            switch (random.Next(3))
            {
                case 0:
                    byte[] bytes = random.NextBytes(length);
                    await device.WriteAsync(offset, bytes, Token);
                    bytes.CopyTo(model, offset);
                    break;
                case 1:
                    await device.ZeroAsync(new Extent(offset, length), Token);
                    model.AsSpan(offset, length).Clear();
                    break;
                default:
                    byte[] read = new byte[length];
                    await device.ReadAsync(offset, read, Token);
                    Assert.Equal(model.AsSpan(offset, length), read.AsSpan());
                    break;
            }
        }

        byte[] all = new byte[Length];
        await device.ReadAsync(0, all, Token);
        Assert.Equal(model, all);
    }

    [Fact]
    public async Task Writers_of_the_parts_of_one_sector_all_survive()
    {
        await using WritableByteAddressable device = new(new MemoryDevice(64 * 1024, 4096));
        byte[] expected = TestSeed.NewRandom().NextBytes(64 * 1024);
        await Parallel.ForEachAsync(
            Enumerable.Range(0, 1024),
            new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Token },
            async (part, token) => await device.WriteAsync(part * 64, expected.AsMemory(part * 64, 64), token));
        byte[] all = new byte[expected.Length];
        await device.ReadAsync(0, all, Token);
        Assert.Equal(expected, all);
    }

    [Fact]
    public async Task A_discard_touches_whole_sectors_only()
    {
        await using WritableByteAddressable device = new(new MemoryDevice(16 * 1024, 4096));
        byte[] content = TestSeed.NewRandom().NextBytes(16 * 1024);
        await device.WriteAsync(0, content, Token);
        await device.DiscardAsync(new Extent(100, 8000), Token);
        await device.DiscardAsync(new Extent(4097, 4000), Token);
        byte[] all = new byte[content.Length];
        await device.ReadAsync(0, all, Token);
        Assert.Equal(content.AsSpan(0, 4096), all.AsSpan(0, 4096));
        Assert.Equal(content.AsSpan(4096), all.AsSpan(4096));
    }
}
