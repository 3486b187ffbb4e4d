using System.Buffers.Binary;
using Quench.Interop.Zstd;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault;

/// <summary>
/// Seals a chunk again into exactly the length that it had, so that it fits the place that the index and the directory give it. (§6.6)
/// Not thread-safe.
/// </summary>
internal sealed class ExactSealer : IDisposable
{
    private const uint FrameMagic = 0xFD2FB528;
    private const int DescriptorAt = 4;
    private const byte SingleSegment = 0x20;
    private const byte DictionaryId = 0x03;
    private const int EmptyBlock = 3; // a raw block of no bytes, not the last: three zeros (RFC 8878, section 3.1.1.2)

    private static readonly int[] s_levels = [-1, 1, 2, 3, 6, 12, 19];
    private readonly ZstdCodec _codec = new();

    /// <summary>Seals a chunk.</summary>
    /// <param name="session">The session whose key its pack is under.</param>
    /// <param name="id">Its id.</param>
    /// <param name="meta">As the directory has it.</param>
    /// <param name="plaintext">Its bytes, which have that id.</param>
    /// <param name="destination">As long as the sealed chunk must be.</param>
    /// <returns>False when the plaintext can't be made to fit, or did not open again.</returns>
    internal bool TrySeal(SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> plaintext, Span<byte> destination)
    {
        int length = destination.Length - SealedLayout.Overhead;
        if (length <= 0 || plaintext.Length != meta.PlainLength)
        {
            return false;
        }

        byte[] payload = new byte[length];
        byte[] reopened = new byte[length];
        return (meta.IsZstd ? TryCompress(plaintext, payload) : TryCopy(plaintext, payload))
            && ChunkCipher.TrySeal(session, id, meta, payload, destination, reopened)
            && reopened.AsSpan().SequenceEqual(payload);
    }

    /// <summary>Makes a frame of exactly the destination's length: the first level that fits, filled up.</summary>
    internal bool TryCompress(ReadOnlySpan<byte> plaintext, Span<byte> frame)
    {
        byte[] room = new byte[ZstdCodec.GetMaxCompressedLength(plaintext.Length)]; // in just enough room zstd gives up too early
        byte[] check = new byte[plaintext.Length];
        foreach (int level in s_levels)
        {
            if (!_codec.TryCompress(plaintext, room, level, out int written) || written > frame.Length)
            {
                continue;
            }

            room.AsSpan(0, written).CopyTo(frame);
            if (TryFill(frame, written) && _codec.TryDecompress(frame, check) && plaintext.SequenceEqual(check))
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose() => _codec.Dispose();

    private static bool TryCopy(ReadOnlySpan<byte> plaintext, Span<byte> payload)
    {
        bool fits = payload.Length == plaintext.Length;
        if (fits)
        {
            plaintext.CopyTo(payload);
        }

        return fits;
    }

    /// <summary>Stretches a frame to all of its memory without changing what it says. (RFC 8878, section 3.1.1)</summary>
    private static bool TryFill(Span<byte> frame, int written)
    {
        int gap = frame.Length - written;
        if (gap == 0)
        {
            return true;
        }

        byte descriptor = frame[DescriptorAt];
        if (BinaryPrimitives.ReadUInt32LittleEndian(frame) != FrameMagic || (descriptor & DictionaryId) != 0)
        {
            return false;
        }

        bool single = (descriptor & SingleSegment) != 0;
        int contentSize = (descriptor >> 6) switch { 0 => single ? 1 : 0, 1 => 2, 2 => 4, _ => 8 };
        int dictionaryAt = DescriptorAt + 1 + (single ? 0 : 1);
        int blocksAt = dictionaryAt + contentSize;
        int dictionary = gap % EmptyBlock; // a Dictionary_ID of 0, one or two bytes long, says that there is none

        frame[blocksAt..written].CopyTo(frame[(blocksAt + gap)..]);
        frame[(blocksAt + dictionary)..(blocksAt + gap)].Clear();
        frame[dictionaryAt..blocksAt].CopyTo(frame[(dictionaryAt + dictionary)..]);
        frame.Slice(dictionaryAt, dictionary).Clear();
        frame[DescriptorAt] |= (byte)dictionary;
        return true;
    }
}
