using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Imaging.Activity;
using Quench.Imaging.Recovery;
using Quench.Tests.Faults;
using Xunit;

namespace Quench.Tests.Imaging;

public sealed class RestoreRunTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_target_full_of_something_else_comes_out_equal(bool onlyDifferent)
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 12; round++)
        {
            MemoryDevice image = RandomImage(random, random.NextInt64(1, 6 << 20));
            MemoryDevice target = RandomTarget(random, image.Geometry.Length);
            byte[] beyond = Read(target, image.Geometry.Length, target.Geometry.Length);
            RestoreRun run = new(image, target, isBlank: false, onlyDifferent, NewActivity());
            RestoreResult result = await run.WriteAsync(Token);
            Assert.Equal(Read(image, 0, image.Geometry.Length), Read(target, 0, image.Geometry.Length));
            int sectorRest = (int)(-image.Geometry.Length & (target.Geometry.SectorSize - 1L));
            Assert.Equal(beyond.Skip(sectorRest), Read(target, image.Geometry.Length, target.Geometry.Length).Skip(sectorRest));
            Assert.True(result.WrittenBytes + result.ZeroedBytes + result.EqualBytes >= image.Geometry.Length);
            await run.ReadBackAsync(Token);
        }
    }

    [Fact]
    public async Task A_blank_target_gets_only_the_data()
    {
        MemoryDevice image = new(64 << 20);
        image.Write(5 << 20, new byte[] { 1 }.Concat(new byte[511]).ToArray());
        CountingDevice target = new(new MemoryDevice(64 << 20));
        RestoreResult result = await new RestoreRun(image, target, isBlank: true, onlyDifferent: false, NewActivity()).WriteAsync(Token);
        Assert.Equal((64 * 1024L, 0L), (result.WrittenBytes, result.ZeroedBytes));
        Assert.Equal((1, 0, 1), (target.Writes, target.Zeroes, target.Flushes));
    }

    [Fact]
    public async Task Only_what_differs_is_written()
    {
        Random random = TestSeed.NewRandom();
        MemoryDevice image = RandomImage(random, 8 << 20);
        MemoryDevice same = new(8 << 20);
        same.Write(0, Read(image, 0, 8 << 20));
        CountingDevice target = new(same);
        RestoreResult unchanged = await new RestoreRun(image, target, isBlank: false, onlyDifferent: true, NewActivity()).WriteAsync(Token);
        Assert.Equal((0L, 8L << 20, 0, 0), (unchanged.WrittenBytes, unchanged.EqualBytes, target.Writes, target.Zeroes));

        same.Write(3 << 20, random.NextBytes(512));
        RestoreResult changed = await new RestoreRun(image, target, isBlank: false, onlyDifferent: true, NewActivity()).WriteAsync(Token);
        Assert.Equal((64L * 1024, 1), (changed.WrittenBytes, target.Writes));
        Assert.Equal(Read(image, 0, 8 << 20), Read(same, 0, 8 << 20));
    }

    [Fact]
    public async Task Reading_back_catches_a_target_that_lost_a_write()
    {
        MemoryDevice image = RandomImage(TestSeed.NewRandom(), 4 << 20);
        MemoryDevice target = new(4 << 20);
        RestoreRun run = new(image, target, isBlank: false, onlyDifferent: false, NewActivity());
        await run.WriteAsync(Token);
        byte[] sector = Read(target, 1024, 1536);
        sector[7] ^= 1;
        target.Write(1024, sector);
        QuenchException thrown = await Assert.ThrowsAsync<QuenchException>(() => run.ReadBackAsync(Token));
        Assert.Equal(("RST-122", 22), (thrown.Code, thrown.ExitCode));
        Assert.Contains("0x407", thrown.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DeviceCall.Write)]
    [InlineData(DeviceCall.Zero)]
    [InlineData(DeviceCall.Flush)]
    public async Task A_target_that_fails_fails_the_restore(DeviceCall call)
    {
        MemoryDevice image = new(64 << 20);
        image.Write(0, TestSeed.NewRandom().NextBytes(4 << 20));
        FaultyDevice target = new(new MemoryDevice(64 << 20), call, failAt: 1);
        RestoreRun run = new(image, target, isBlank: false, onlyDifferent: false, NewActivity());
        await Assert.ThrowsAsync<IOException>(() => run.WriteAsync(Token));
    }

    private static ActivityMonitor NewActivity() => new(TimeProvider.System);

    private static MemoryDevice RandomImage(Random random, long length)
    {
        MemoryDevice image = new(length, sectorSize: 1);
        for (int extents = random.Next(8); extents >= 0; extents--)
        {
            long start = random.NextInt64(length);
            image.Write(start, random.NextBytes((int)Math.Min(length - start, random.Next(1, 2 << 20))));
        }

        return image;
    }

    private static MemoryDevice RandomTarget(Random random, long atLeast)
    {
        int sector = random.Next(2) == 0 ? 512 : 4096;
        long length = random.Next(3) == 0 ? atLeast : (atLeast + sector - 1) / sector * sector + (random.Next(20) * sector);
        MemoryDevice target = new(length, sector);
        target.Write(0, random.NextBytes((int)length));
        return target;
    }

    private static byte[] Read(MemoryDevice device, long from, long to)
    {
        byte[] all = new byte[device.Geometry.Length];
        device.Read(0, all);
        return all[(int)from..(int)to];
    }

    private sealed class CountingDevice(MemoryDevice inner) : IBlockDevice
    {
        private int _writes;
        private int _zeroes;
        private int _flushes;

        public int Writes => _writes;

        public int Zeroes => _zeroes;

        public int Flushes => _flushes;

        public BlockGeometry Geometry => inner.Geometry;

        public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken) => inner.ReadAsync(offset, into, cancellationToken);

        public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => inner.MapAsync(range, cancellationToken);

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _writes);
            return inner.WriteAsync(offset, source, cancellationToken);
        }

        public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _zeroes);
            return inner.ZeroAsync(range, cancellationToken);
        }

        public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken) => inner.DiscardAsync(range, cancellationToken);

        public ValueTask FlushAsync(CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _flushes);
            return inner.FlushAsync(cancellationToken);
        }

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
