using System.Security.Cryptography;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.FileSystems.Btrfs;

/// <summary>Checks blocks that begin with their own checksum, in a field of 32 bytes that it fills from the start.</summary>
internal static class BlockChecksum
{
    public const int FieldSize = 32;

    /// <summary>Whether a kind can be computed here.</summary>
    public static bool IsKnown(ChecksumKind kind) => kind is ChecksumKind.Crc32C or ChecksumKind.Sha256;

    /// <summary>Whether a block is as it was written.</summary>
    /// <param name="kind">One that can be computed here.</param>
    /// <param name="block">The whole block.</param>
    public static bool IsRight(ChecksumKind kind, ReadOnlySpan<byte> block)
    {
        Span<byte> computed = stackalloc byte[FieldSize];
        int size = Compute(kind, block, computed);
        return block[..size].SequenceEqual(computed[..size]);
    }

    /// <summary>Computes what the field should begin with and answers how many bytes of it count.</summary>
    public static int Compute(ChecksumKind kind, ReadOnlySpan<byte> block, Span<byte> into)
    {
        if (kind == ChecksumKind.Sha256)
        {
            return SHA256.HashData(block[FieldSize..], into);
        }

        WriteUInt32LittleEndian(into, ~Crc32c.Append(uint.MaxValue, block[FieldSize..]));
        return sizeof(uint);
    }
}
