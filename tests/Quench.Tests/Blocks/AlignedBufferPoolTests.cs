using Quench.Blocks.Buffers;
using Quench.Interop.Linux;
using Xunit;

namespace Quench.Tests.Blocks;

public sealed class AlignedBufferPoolTests
{
    [Fact]
    public void A_buffer_begins_at_a_page()
    {
        using AlignedBufferPool pool = new(12_288, maxRetained: 2);
        using BufferLease lease = pool.Rent();
        using TemporaryDirectory directory = new();
        using Microsoft.Win32.SafeHandles.SafeFileHandle file = NativeFile.Open(directory["f"], OpenMode.ReadWrite | OpenMode.Create);
        Assert.True(NativeFile.TryWriteAligned(file, lease.Span, 0, alignment: 4096));
        Assert.False(NativeFile.TryWriteAligned(file, lease.Span[1..], 0, alignment: 2), "one byte further is no longer aligned");
        Assert.Equal(12_288, lease.Memory.Length);
    }

    [Fact]
    public void Returning_twice_is_harmless()
    {
        using AlignedBufferPool pool = new(4096, maxRetained: 2);
        BufferLease lease = pool.Rent();
        Assert.Equal(1, pool.RentedCount);
        lease.Dispose();
        lease.Dispose();
        Assert.Equal(0, pool.RentedCount);
        using BufferLease one = pool.Rent();
        using BufferLease other = pool.Rent();
        one.Span.Fill(1);
        other.Span.Fill(2);
        Assert.Equal(1, one.Span[0]);
    }

    [Fact]
    public void A_returned_lease_gives_no_memory_and_a_closed_pool_no_lease()
    {
        AlignedBufferPool pool = new(4096, maxRetained: 1);
        BufferLease lease = pool.Rent();
        lease.Dispose();
        Assert.Throws<ObjectDisposedException>(() => lease.Memory);
        pool.Dispose();
        Assert.Throws<ObjectDisposedException>(pool.Rent);
    }

    [Fact]
    public void A_lease_may_outlive_its_pool()
    {
        AlignedBufferPool pool = new(4096, maxRetained: 1);
        BufferLease lease = pool.Rent();
        pool.Dispose();
        lease.Span[0] = 1;
        lease.Dispose();
        Assert.Equal(0, pool.RentedCount);
    }
}
