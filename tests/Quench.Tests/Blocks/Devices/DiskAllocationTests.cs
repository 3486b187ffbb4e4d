using Quench.Blocks.Buffers;
using Quench.Blocks.Devices;
using Xunit;

namespace Quench.Tests.Blocks.Devices;

/// <summary>Runs while nothing else does: what it measures is the whole process.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class Alone;

[Collection("alone")]
public sealed class DiskAllocationTests : IDisposable
{
    private const int Rounds = 2_000;

    private readonly TemporaryDirectory _directory = new();
    private readonly AlignedBufferPool _pool = new(64 * 1024, maxRetained: 16);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _pool.Dispose();
        _directory.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_synchronous_transfer_allocates_nothing(bool aligned)
    {
        await using ImageFile disk = ImageFile.CreateNew(_directory["disk"], 1024 * 1024);
        using BufferLease lease = _pool.Rent();
        Assert.Equal(0, MeasureSynchronous(disk, aligned ? lease.Memory[..8192] : lease.Memory.Slice(1, 8192)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(8)]
    public async Task An_asynchronous_read_allocates_nothing_once_warm(int lanes)
    {
        await using ImageFile disk = ImageFile.CreateNew(_directory["disk"], 1024 * 1024);
        BufferLease[] leases = [.. Enumerable.Range(0, lanes).Select(_ => _pool.Rent())];
        await ReadAsync(disk, leases);
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await ReadAsync(disk, leases);
        double each = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)(Rounds * lanes);
        TestContext.Current.TestOutputHelper?.WriteLine($"{lanes} lanes: {each:0.00} B/op");

        // The lanes themselves cost a few objects for all rounds together; one object a call would be 80 bytes and more.
        Assert.True(each < 8, $"{each:0.0} bytes a call");
        Array.ForEach(leases, lease => lease.Dispose());
        Assert.Equal(0, _pool.RentedCount);
    }

    private static long MeasureSynchronous(ImageFile disk, Memory<byte> buffer)
    {
        disk.Write(0, buffer.Span);
        disk.Read(0, buffer.Span);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int round = 0; round < 100; round++)
        {
            disk.Write(0, buffer.Span);
            disk.Read(0, buffer.Span);
        }

        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    private static Task ReadAsync(ImageFile disk, BufferLease[] leases) => Task.WhenAll(leases.Select(async lease =>
    {
        Memory<byte> buffer = lease.Memory;
        for (int round = 0; round < Rounds; round++)
        {
            await disk.ReadAsync(0, buffer, Token);
        }
    }));
}
