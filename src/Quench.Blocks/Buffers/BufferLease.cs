using System.Buffers;
using Quench.Interop.Memory;

namespace Quench.Blocks.Buffers;

/// <summary>A rented buffer. Whoever holds the lease owns the memory until disposing it; nothing taken from it may be used afterwards.</summary>
public sealed class BufferLease : IMemoryOwner<byte>
{
    private readonly AlignedBufferPool _pool;
    private readonly NativeBuffer _buffer;
    private int _rented; // 1 while out; guards against returning twice

    internal BufferLease(AlignedBufferPool pool, NativeBuffer buffer)
    {
        _pool = pool;
        _buffer = buffer;
    }

    /// <summary>The whole buffer.</summary>
    public Memory<byte> Memory
    {
        get
        {
            ObjectDisposedException.ThrowIf(Volatile.Read(ref _rented) == 0, this);
            return _buffer.Memory;
        }
    }

    /// <summary>The whole buffer.</summary>
    public Span<byte> Span => Memory.Span;

    /// <summary>Returns the buffer to its pool. Doing it twice does nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _rented, 0) == 1)
        {
            _pool.Return(this);
        }
    }

    internal void MarkRented() => Volatile.Write(ref _rented, 1);

    internal void Free() => ((IDisposable)_buffer).Dispose();
}
