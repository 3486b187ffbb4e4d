using System.Collections.Concurrent;
using Quench.Interop.Zstd;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault;

/// <summary>Opens sealed chunks: decrypts, decompresses, and computes the id again. Not thread-safe.</summary>
internal sealed class ChunkOpener : IDisposable
{
    private readonly ZstdCodec _codec = new();
    private byte[] _frame = [];

    /// <summary>Opens a chunk.</summary>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="session">The key of the session that sealed it.</param>
    /// <param name="id">The id it must have.</param>
    /// <param name="meta">How to open it.</param>
    /// <param name="sealed">The sealed bytes.</param>
    /// <param name="plaintext">Receives exactly the plaintext's length; undefined when the answer is false.</param>
    /// <returns>False when it is damaged or forged.</returns>
    internal bool TryOpen(VaultKeys keys, SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> @sealed, Span<byte> plaintext) =>
        TryOpen(keys, session, id, meta, @sealed, plaintext, out _);

    /// <summary>Opens a chunk, and gives out the form that it was sealed in.</summary>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="session">The key of the session that sealed it.</param>
    /// <param name="id">The id it must have.</param>
    /// <param name="meta">How to open it.</param>
    /// <param name="sealed">The sealed bytes.</param>
    /// <param name="plaintext">Receives exactly the plaintext's length; undefined when the answer is false.</param>
    /// <param name="payload">The zstd frame, in memory of the opener's until it opens the next; or the plaintext.</param>
    /// <returns>False when it is damaged or forged.</returns>
    internal bool TryOpen(
        VaultKeys keys, SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> @sealed, Span<byte> plaintext, out ReadOnlySpan<byte> payload)
    {
        payload = default;
        int payloadLength = @sealed.Length - SealedLayout.Overhead;
        if (payloadLength <= 0 || plaintext.Length != meta.PlainLength || !VaultKeys.IsKnownType(meta.Type) || payloadLength > ChunkMeta.MaxPlainLength)
        {
            return false;
        }

        if (!TryDecode(session, id, meta, @sealed, plaintext) || keys.Identify(meta.Type, plaintext) != id)
        {
            return false;
        }

        payload = meta.IsZstd ? _frame.AsSpan(0, payloadLength) : plaintext;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _codec.Dispose();

    private bool TryDecode(SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> @sealed, Span<byte> plaintext)
    {
        int payloadLength = @sealed.Length - SealedLayout.Overhead;
        if (!meta.IsZstd)
        {
            return payloadLength == plaintext.Length && ChunkCipher.TryOpen(session, id, meta, @sealed, plaintext);
        }

        Span<byte> frame = Room(ref _frame, payloadLength);
        return ChunkCipher.TryOpen(session, id, meta, @sealed, frame) && _codec.TryDecompress(frame, plaintext);
    }

    private static Span<byte> Room(ref byte[] buffer, int length)
    {
        if (buffer.Length < length)
        {
            buffer = new byte[length];
        }

        return buffer.AsSpan(0, length);
    }
}

/// <summary>Openers to use again. Thread-safe; disposed when nothing is being opened any more.</summary>
internal sealed class ChunkOpenerPool : IDisposable
{
    private readonly ConcurrentBag<ChunkOpener> _idle = [];

    internal ChunkOpener Rent() => _idle.TryTake(out ChunkOpener? opener) ? opener : new ChunkOpener();

    internal void Return(ChunkOpener opener) => _idle.Add(opener);

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_idle.TryTake(out ChunkOpener? opener))
        {
            opener.Dispose();
        }
    }
}
