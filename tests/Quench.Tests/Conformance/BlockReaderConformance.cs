using Quench.Blocks;
using Xunit;

namespace Quench.Tests.Conformance;

/// <summary>What every reader owes its callers. A new reader's test class names the reader and what it must show; the rest is here.</summary>
public abstract class BlockReaderConformance
{
    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>A reader that shows exactly <paramref name="content"/>, whose length is whole sectors.</summary>
    protected abstract ValueTask<IBlockReader> NewReaderAsync(byte[] content);

    /// <summary>Bytes of content; a multiple of the reader's sector.</summary>
    protected virtual int Length => 256 * 1024;

    [Fact]
    public async Task It_shows_its_content_at_any_place()
    {
        Random random = TestSeed.NewRandom();
        byte[] content = Content(random);
        await using IBlockReader reader = await NewReaderAsync(content);
        Assert.Equal(Length, reader.Geometry.Length);
        int sector = reader.Geometry.SectorSize;
        for (int round = 0; round < 100; round++)
        {
            int offset = random.Next((Length / sector) + 1) * sector;
            int length = random.Next(((Length - offset) / sector) + 1) * sector;
            byte[] read = new byte[length];
            await reader.ReadAsync(offset, read, Token);
            Assert.True(content.AsSpan(offset, length).SequenceEqual(read), $"{length} bytes at {offset} differ");
        }
    }

    [Fact]
    public async Task It_refuses_what_lies_outside()
    {
        await using IBlockReader reader = await NewReaderAsync(Content(TestSeed.NewRandom()));
        int sector = reader.Geometry.SectorSize;
        byte[] two = new byte[2 * sector];
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.ReadAsync(Length - sector, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.ReadAsync(-sector, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.ReadAsync(long.MaxValue & ~4095L, two, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.MapAsync(new Extent(0, Length + sector), Token));
    }

    [Fact]
    public async Task It_refuses_parts_of_sectors()
    {
        await using IBlockReader reader = await NewReaderAsync(Content(TestSeed.NewRandom()));
        Assert.SkipWhen(reader.Geometry.SectorSize == 1, "any byte can be addressed here");
        byte[] one = new byte[reader.Geometry.SectorSize];
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.ReadAsync(1, one, Token));
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await reader.ReadAsync(0, one.AsMemory(1), Token));
    }

    [Fact]
    public async Task Its_map_covers_the_range_exactly_and_never_lies()
    {
        Random random = TestSeed.NewRandom();
        byte[] content = Content(random);
        await using IBlockReader reader = await NewReaderAsync(content);
        await MapProbe.HoldsAsync(reader, content, random, Token);
    }

    [Fact]
    public async Task A_cancelled_read_says_so()
    {
        await using IBlockReader reader = await NewReaderAsync(Content(TestSeed.NewRandom()));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await reader.ReadAsync(0, new byte[reader.Geometry.SectorSize], new CancellationToken(canceled: true)));
    }

    [Fact]
    public async Task Many_may_read_at_once()
    {
        byte[] content = Content(TestSeed.NewRandom());
        await using IBlockReader reader = await NewReaderAsync(content);
        int part = Length / 16;
        byte[][] parts = await Task.WhenAll(Enumerable.Range(0, 16).Select(async index =>
        {
            byte[] read = new byte[part];
            await reader.ReadAsync(index * (long)part, read, Token);
            return read;
        }));
        Assert.True(content.AsSpan().SequenceEqual(parts.SelectMany(bytes => bytes).ToArray()));
    }

    [Fact]
    public async Task It_may_be_disposed_twice()
    {
        IBlockReader reader = await NewReaderAsync(Content(TestSeed.NewRandom()));
        await reader.DisposeAsync();
        await reader.DisposeAsync();
    }

    /// <summary>Random bytes with runs of zeros in between, so that a map has something to say.</summary>
    private byte[] Content(Random random)
    {
        byte[] content = random.NextBytes(Length);
        for (int hole = 0; hole < 4; hole++)
        {
            int length = random.Next(Length / 8);
            content.AsSpan(random.Next(Length - length), length).Clear();
        }

        return content;
    }
}
