using Quench.Interop.Zstd;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault;

/// <summary>Compresses and encrypts chunks, and opens each again before handing it out. One lane's: not thread-safe. (§6.4)</summary>
public sealed class ChunkSealer : IDisposable
{
    internal const int DefaultLevel = -1; // docs/performance.md, "Full image": what each level costs
    internal const int FastestLevel = -7;
    internal const int SmallestLevel = 19;
    private const int WorthPercent = 97;

    private readonly ZstdCodec _codec = new();
    private readonly byte[] _reopened; // what the sealed chunk gives back: the zstd frame, or the plaintext
    private readonly byte[] _plaintext; // what the frame gives back
    private readonly SessionKey _session;
    private readonly SealedChunkPool _pool;
    private readonly int _chunkSize;
    private readonly int _level;

    internal ChunkSealer(SessionKey session, SealedChunkPool pool, int chunkSize, int level)
    {
        _level = level;
        _session = session;
        _pool = pool;
        _chunkSize = chunkSize;
        int longest = Math.Max(chunkSize, MapTree.PageSize);
        _reopened = GC.AllocateUninitializedArray<byte>(longest);
        _plaintext = GC.AllocateUninitializedArray<byte>(longest);
    }

    /// <summary>Seals a chunk.</summary>
    /// <param name="id">Its id, from <see cref="BackupSession.Identify"/>.</param>
    /// <param name="plaintext">Its bytes; borrowed during the call.</param>
    /// <returns>The sealed chunk, the caller's: give it to <see cref="BackupSession.AddAsync"/> or dispose it.</returns>
    public SealedChunk Seal(ChunkId id, ReadOnlySpan<byte> plaintext) =>
        plaintext.Length > 0 && plaintext.Length <= _chunkSize
            ? Seal(ChunkMeta.DataType, id, plaintext)
            : throw new ArgumentException($"a chunk has 1 to {_chunkSize} bytes, not {plaintext.Length}", nameof(plaintext));

    /// <inheritdoc/>
    public void Dispose() => _codec.Dispose();

    internal SealedChunk Seal(byte type, ChunkId id, ReadOnlySpan<byte> plaintext)
    {
        SealedChunk chunk = _pool.Rent();
        // What does not fit 97 % of the plaintext is stored as it is: zstd then stops early by itself.
        Span<byte> room = chunk.Buffer.Slice(SealedLayout.NonceSize, (int)((long)plaintext.Length * WorthPercent / 100));
        bool compressed = _codec.TryCompress(plaintext, room, _level, out int written);
        ReadOnlySpan<byte> payload = compressed ? room[..written] : plaintext;
        chunk.Id = id;
        chunk.Meta = new ChunkMeta(type, plaintext.Length, compressed);
        chunk.SealedLength = payload.Length + SealedLayout.Overhead;
        Span<byte> reopened = _reopened.AsSpan(0, payload.Length);
        if (ChunkCipher.TrySeal(_session, id, chunk.Meta, payload, chunk.Buffer, reopened) && GivesBack(plaintext, reopened, compressed))
        {
            chunk.Checksum = MemoryChecksum.Of(chunk.Sealed);
            return chunk;
        }

        chunk.Dispose();
        throw VaultErrors.BadChunk(id);
    }

    /// <summary>Whether what was decrypted again leads back to every byte of the plaintext.</summary>
    private bool GivesBack(ReadOnlySpan<byte> plaintext, ReadOnlySpan<byte> reopened, bool compressed)
    {
        if (!compressed)
        {
            return reopened.SequenceEqual(plaintext);
        }

        Span<byte> decompressed = _plaintext.AsSpan(0, plaintext.Length);
        return _codec.TryDecompress(reopened, decompressed) && decompressed.SequenceEqual(plaintext);
    }
}
