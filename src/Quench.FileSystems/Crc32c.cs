using System.Buffers.Binary;
using System.Numerics;

namespace Quench.FileSystems;

/// <summary>CRC-32C (polynomial 0x1EDC6F41, reflected), without inversions: what one call returns is the next one's start.</summary>
public static class Crc32c
{
    /// <summary>Goes on over more bytes.</summary>
    public static uint Append(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte one in bytes)
        {
            crc = BitOperations.Crc32C(crc, one);
        }

        return crc;
    }

    /// <summary>The usual form over a structure that keeps its own checksum: that field counts as zeros, and the end is inverted.</summary>
    public static uint OfStructure(ReadOnlySpan<byte> bytes, int checksumOffset)
    {
        uint crc = Append(uint.MaxValue, bytes[..checksumOffset]);
        crc = Append(crc, [0, 0, 0, 0]);
        return ~Append(crc, bytes[(checksumOffset + sizeof(uint))..]);
    }
}
