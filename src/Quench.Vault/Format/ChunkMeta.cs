namespace Quench.Vault.Format;

/// <summary>What must be known of a chunk to open it, in 32 bits. (§5.3)</summary>
/// <param name="Bits">Bits 0–22: length of the plaintext; bit 23: one zstd frame; bits 24–31: type.</param>
internal readonly record struct ChunkMeta(uint Bits)
{
    internal const int MaxPlainLength = 4 * 1024 * 1024;
    internal const byte DataType = 0;
    private const byte PageType = 16;
    private const uint ZstdBit = 1u << 23;

    internal ChunkMeta(byte type, int plainLength, bool zstd)
        : this(((uint)type << 24) | (zstd ? ZstdBit : 0) | (uint)plainLength)
    {
    }

    internal int PlainLength => (int)(Bits & (ZstdBit - 1));

    internal bool IsZstd => (Bits & ZstdBit) != 0;

    internal byte Type => (byte)(Bits >> 24);

    internal bool IsValid => PlainLength is > 0 and <= MaxPlainLength;

    /// <summary>The type of a map page of a level. (§5.1)</summary>
    internal static byte PageTypeOf(int level) => (byte)(PageType + level);
}
