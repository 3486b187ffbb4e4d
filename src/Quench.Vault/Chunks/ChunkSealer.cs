using Quench.Interop.Zstd;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault;

/// <summary>Compresses and encrypts chunks, and opens each again before handing it out. One lane's: not thread-safe. (§6.4)</summary>
public sealed class ChunkSealer : IDisposable
{
    private const int WorthPercent = 97;

    private readonly ZstdCodec _codec = new();
    private readonly byte[] _reopened; // what the sealed chunk gives back: the zstd frame, or the plaintext
    private readonly byte[] _plaintext; // what the frame gives back
    private readonly VaultKeys _keys;
    private readonly SessionKey _session;
    private readonly SealedChunkPool _pool;
    private readonly int _chunkSize;
    private readonly int? _level; // zstd's; null: nothing is compressed

    internal ChunkSealer(VaultKeys keys, SessionKey session, SealedChunkPool pool, int chunkSize, Compression compression)
    {
        _level = LevelOf(compression);
        _keys = keys;
        _session = session;
        _pool = pool;
        _chunkSize = chunkSize;
        int longest = Math.Max(chunkSize, MapTree.PageSize);
        _reopened = GC.AllocateUninitializedArray<byte>(longest);
        _plaintext = GC.AllocateUninitializedArray<byte>(longest);
    }

    /// <summary>Seals a chunk that was named, and proves that the sealed form gives back the bytes that it was named by.</summary>
    /// <param name="name">From <see cref="BackupSession.Name"/>.</param>
    /// <param name="plaintext">Its bytes; borrowed during the call.</param>
    /// <returns>As <see cref="Seal(ChunkId, ReadOnlySpan{byte})"/>, for less: a checksum is compared in place of the id.</returns>
    public SealedChunk Seal(ChunkName name, ReadOnlySpan<byte> plaintext) => Seal(ChunkMeta.DataType, name.Id, name.Checksum, Demand(plaintext));

    /// <summary>Seals a chunk, and proves that the sealed form gives back bytes with its id.</summary>
    /// <param name="id">Its id, from <see cref="BackupSession.Identify"/>.</param>
    /// <param name="plaintext">Its bytes; borrowed during the call.</param>
    /// <returns>The sealed chunk, the caller's: give it to <see cref="BackupSession.AddAsync"/> or dispose it.</returns>
    /// <exception cref="Quench.Blocks.QuenchException">VAULT-032: memory has changed under it; nothing of it is to be stored.</exception>
    public SealedChunk Seal(ChunkId id, ReadOnlySpan<byte> plaintext) => Seal(ChunkMeta.DataType, id, null, Demand(plaintext));

    /// <inheritdoc/>
    public void Dispose() => _codec.Dispose();

    /// <summary>Seals a page or a chunk; without a checksum the id is computed again.</summary>
    internal SealedChunk Seal(byte type, ChunkId id, uint? checksum, ReadOnlySpan<byte> plaintext)
    {
        SealedChunk chunk = _pool.Rent();
        // What does not fit 97 % of the plaintext is stored as it is: zstd then stops early by itself.
        Span<byte> room = chunk.Buffer.Slice(SealedLayout.NonceSize, (int)((long)plaintext.Length * WorthPercent / 100));
        int written = 0;
        bool compressed = _level is { } level && _codec.TryCompress(plaintext, room, level, out written);
        return Prove(chunk, id, new ChunkMeta(type, plaintext.Length, compressed), compressed ? room[..written] : plaintext, checksum);
    }

    /// <summary>Seals what was opened elsewhere, in the form that it has there: nothing is compressed again. Proved by its id as ever.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="meta">As it was opened; the plaintext and the payload are no longer than this vault's chunks.</param>
    /// <param name="payload">The zstd frame, or the plaintext.</param>
    internal SealedChunk SealAgain(ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> payload) => Prove(_pool.Rent(), id, meta, payload, checksum: null);

    private SealedChunk Prove(SealedChunk chunk, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> payload, uint? checksum)
    {
        chunk.Id = id;
        chunk.Meta = meta;
        chunk.SealedLength = payload.Length + SealedLayout.Overhead;
        Span<byte> reopened = _reopened.AsSpan(0, payload.Length);
        if (ChunkCipher.TrySeal(_session, id, chunk.Meta, payload, chunk.Buffer, reopened) && GivesBack(chunk, checksum, reopened))
        {
            chunk.Checksum = MemoryChecksum.Of(chunk.Sealed);
            return chunk;
        }

        chunk.Dispose();
        throw VaultErrors.BadChunk(id);
    }

    /// <summary>Whether what was decrypted again leads back to the bytes that the chunk was named by.</summary>
    private bool GivesBack(SealedChunk chunk, uint? checksum, ReadOnlySpan<byte> reopened)
    {
        ReadOnlySpan<byte> plaintext = reopened;
        if (chunk.Meta.IsZstd)
        {
            Span<byte> decompressed = _plaintext.AsSpan(0, chunk.PlainLength);
            if (!_codec.TryDecompress(reopened, decompressed))
            {
                return false;
            }

            plaintext = decompressed;
        }

        return checksum is { } named ? MemoryChecksum.Of(plaintext) == named : _keys.Identify(chunk.Meta.Type, plaintext) == chunk.Id;
    }

    private static int? LevelOf(Compression compression) => compression switch
    {
        Compression.None => null,
        Compression.Fast => -5,
        Compression.Standard => -1,
        Compression.Small => 3,
        Compression.Smallest => 15,
        _ => throw new ArgumentOutOfRangeException(nameof(compression), compression, "not a compression"),
    };

    private ReadOnlySpan<byte> Demand(ReadOnlySpan<byte> plaintext) =>
        plaintext.Length > 0 && plaintext.Length <= _chunkSize
            ? plaintext
            : throw new ArgumentException($"a chunk has 1 to {_chunkSize} bytes, not {plaintext.Length}", nameof(plaintext));
}
