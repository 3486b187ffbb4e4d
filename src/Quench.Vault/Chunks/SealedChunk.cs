using System.Collections.Concurrent;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>A chunk as it will lie in a pack, in memory of the session's. Whoever holds it owns it until disposing it or handing it on.</summary>
public sealed class SealedChunk : IDisposable
{
    private readonly SealedChunkPool _pool;
    private readonly byte[] _buffer;
    private int _rented; // 1 while out; guards against returning twice

    internal SealedChunk(SealedChunkPool pool, int capacity)
    {
        _pool = pool;
        _buffer = GC.AllocateUninitializedArray<byte>(capacity, pinned: true);
    }

    /// <summary>The chunk's id.</summary>
    public ChunkId Id { get; internal set; }

    /// <summary>Bytes of the plaintext.</summary>
    public int PlainLength => Meta.PlainLength;

    /// <summary>Bytes it takes in a pack.</summary>
    public int SealedLength { get; internal set; }

    /// <summary>How to open it.</summary>
    internal ChunkMeta Meta { get; set; }

    /// <summary>Of the sealed bytes, taken right after they had been proved.</summary>
    internal uint Checksum { get; set; }

    /// <summary>All of its memory.</summary>
    internal Span<byte> Buffer => _buffer;

    /// <summary>The sealed bytes.</summary>
    internal ReadOnlySpan<byte> Sealed => _buffer.AsSpan(0, SealedLength);

    /// <summary>Returns its memory. Doing it twice does nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _rented, 0) == 1)
        {
            _pool.Return(this);
        }
    }

    internal void MarkRented() => Volatile.Write(ref _rented, 1);
}

/// <summary>Sealed chunks to use again, so that the steady state allocates none. Thread-safe.</summary>
/// <param name="capacity">Bytes of the largest sealed chunk.</param>
internal sealed class SealedChunkPool(int capacity)
{
    private readonly ConcurrentBag<SealedChunk> _idle = [];

    internal SealedChunk Rent()
    {
        if (!_idle.TryTake(out SealedChunk? chunk))
        {
            chunk = new SealedChunk(this, capacity);
        }

        chunk.MarkRented();
        return chunk;
    }

    internal void Return(SealedChunk chunk) => _idle.Add(chunk);
}
