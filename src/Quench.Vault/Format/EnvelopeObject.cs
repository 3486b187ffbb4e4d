using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Format;

/// <summary>What an envelope holds. (§7)</summary>
internal enum EnvelopeKind : byte
{
    Config = 1,
    Ring = 2,
    Session = 3,
    Index = 4,
    Point = 5,
    Commit = 6,
    Forget = 7,
    Condemned = 8,
    Sweep = 9,
    Done = 10,
    Check = 11,
    RemovedSlot = 24,
}

// Every object but "format", key slots and packs. (§7)
//
//   0       8      9       10         12      16      28         32           32+n  48+n
//   ├ magic ┼ kind ┼ major ┼ reserved ┼ epoch ┼ nonce ┼ reserved ┼ ciphertext ┼ tag ┤
//
// Plaintext: u32 length of the body, the body, zeros to a multiple of 256.
internal readonly ref struct EnvelopeObject(ReadOnlySpan<byte> bytes)
{
    internal const int HeaderSize = 32;
    internal const int TagSize = 16;
    internal const int NonceOffset = 16;
    internal const int NonceSize = 12;
    internal const int MaxSize = 256 * 1024 * 1024;
    private const int Grain = 256;
    private readonly ReadOnlySpan<byte> _bytes = bytes;

    private static ReadOnlySpan<byte> Magic => "QNCHENVL"u8;

    internal EnvelopeKind Kind => (EnvelopeKind)_bytes[8];

    internal uint Epoch => ReadUInt32LittleEndian(_bytes[12..]);

    internal ReadOnlySpan<byte> Header => _bytes[..HeaderSize];

    internal ReadOnlySpan<byte> Nonce => _bytes.Slice(NonceOffset, NonceSize);

    internal ReadOnlySpan<byte> Ciphertext => _bytes[HeaderSize..^TagSize];

    internal ReadOnlySpan<byte> Tag => _bytes[^TagSize..];

    internal static bool TryRead(ReadOnlySpan<byte> bytes, EnvelopeKind kind, out EnvelopeObject envelope)
    {
        envelope = default;
        if (bytes.Length < HeaderSize + Grain + TagSize || bytes.Length > MaxSize || !bytes.StartsWith(Magic))
        {
            return false;
        }

        envelope = new EnvelopeObject(bytes);
        return envelope.Kind == kind && bytes[9] == FormatObject.Major
            && ReadUInt16LittleEndian(bytes[10..]) == 0 && ReadUInt32LittleEndian(bytes[28..]) == 0
            && envelope.Ciphertext.Length % Grain == 0;
    }

    /// <summary>Bytes of the plaintext that carries a body.</summary>
    internal static int PlainSize(int bodyLength) => (4 + bodyLength + Grain - 1) / Grain * Grain;

    internal static void WriteHeader(Span<byte> bytes, EnvelopeKind kind, uint epoch)
    {
        bytes[..HeaderSize].Clear();
        Magic.CopyTo(bytes);
        bytes[8] = (byte)kind;
        bytes[9] = (byte)FormatObject.Major;
        WriteUInt32LittleEndian(bytes[12..], epoch);
    }

    internal static void WritePlain(Span<byte> plain, ReadOnlySpan<byte> body)
    {
        WriteInt32LittleEndian(plain, body.Length);
        body.CopyTo(plain[4..]);
        plain[(4 + body.Length)..].Clear();
    }

    /// <summary>Where in a plaintext the body ends.</summary>
    /// <returns>False when the length is not that of a body padded as it should be.</returns>
    internal static bool TryReadBodyLength(ReadOnlySpan<byte> plain, out int length)
    {
        length = ReadInt32LittleEndian(plain);
        return length >= 0 && length <= plain.Length - 4 && PlainSize(length) == plain.Length
            && !plain[(4 + length)..].ContainsAnyExcept((byte)0);
    }
}
