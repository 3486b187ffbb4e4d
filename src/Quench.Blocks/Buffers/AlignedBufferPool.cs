using System.Collections.Concurrent;
using Quench.Interop.Memory;

namespace Quench.Blocks.Buffers;

/// <summary>
/// Page-aligned native buffers of one size, rented and returned, so that the steady state allocates nothing. At most
/// <c>maxRetained</c> idle buffers are kept; more are freed on return. Thread-safe. Disposing frees the idle ones.
/// </summary>
public sealed class AlignedBufferPool : IDisposable
{
    private readonly ConcurrentBag<BufferLease> _idle = [];
    private readonly int _maxRetained;
    private int _rented;
    private volatile bool _disposed;

    /// <summary>An empty pool.</summary>
    /// <param name="bufferLength">Bytes of each buffer.</param>
    /// <param name="maxRetained">How many idle buffers to keep.</param>
    public AlignedBufferPool(int bufferLength, int maxRetained)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bufferLength);
        BufferLength = bufferLength;
        _maxRetained = maxRetained;
    }

    /// <summary>Bytes of each buffer.</summary>
    public int BufferLength { get; }

    /// <summary>Buffers that are out now. Zero at the end of a well-behaved job.</summary>
    public int RentedCount => Volatile.Read(ref _rented);

    /// <summary>Lends a buffer with unspecified content. Dispose the lease to return it.</summary>
    public BufferLease Rent()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_idle.TryTake(out BufferLease? lease))
        {
            lease = new BufferLease(this, new NativeBuffer(BufferLength));
        }

        Interlocked.Increment(ref _rented);
        lease.MarkRented();
        return lease;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _disposed = true;
        while (_idle.TryTake(out BufferLease? lease))
        {
            lease.Free();
        }
    }

    internal void Return(BufferLease lease)
    {
        Interlocked.Decrement(ref _rented);
        if (_disposed || _idle.Count >= _maxRetained)
        {
            lease.Free();
        }
        else
        {
            _idle.Add(lease);
        }
    }
}
