using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Quench.Vault.Parity;

/// <summary>
/// The 64-bit check of a shard: CRC-64 with the polynomial of ECMA-182, reflected, begun and ended with all ones ("CRC-64/XZ"). It finds
/// where a pack has rotted, so that parity knows what is missing; whether the healed pack is right is told by SHA-256. (docs/vault-format.md §6.5)
/// </summary>
/// <remarks>
/// Long runs are folded by carry-less multiplication (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
/// Instruction", Intel 2009), four lanes of 16 bytes at a time. The constants are powers of x, computed here rather than copied.
/// </remarks>
internal static class ShardCheck
{
    internal const int Size = 8;
    private const ulong Polynomial = 0x42F0E1EBA9EA3693; // x^64 left out, highest power first
    private const int Lanes = 4;
    private static readonly ulong[] s_table = NewTable(); // eight tables of 256: of a byte with 0 to 7 zero bytes behind it
    private static readonly Vector128<ulong> s_foldAll = Constants(Lanes * 128);
    private static readonly Vector128<ulong> s_foldOne = Constants(128);

    internal static ulong Of(ReadOnlySpan<byte> bytes) => Of(bytes, Pclmulqdq.IsSupported);

    /// <summary>As above, with or without the processor's help.</summary>
    internal static ulong Of(ReadOnlySpan<byte> bytes, bool fold)
    {
        ulong crc = ulong.MaxValue;
        if (fold && bytes.Length >= Lanes * 16 * 2)
        {
            int folded = bytes.Length / (Lanes * 16) * Lanes * 16;
            crc = Fold(MemoryMarshal.Cast<byte, Vector128<ulong>>(bytes[..folded]), crc);
            bytes = bytes[folded..];
        }

        return ~Add(crc, bytes);
    }

    private static ulong Fold(ReadOnlySpan<Vector128<ulong>> blocks, ulong crc)
    {
        Vector128<ulong> a = blocks[0] ^ Vector128.CreateScalar(crc);
        Vector128<ulong> b = blocks[1];
        Vector128<ulong> c = blocks[2];
        Vector128<ulong> d = blocks[3];
        for (int i = Lanes; i < blocks.Length; i += Lanes)
        {
            a = Forward(a, s_foldAll) ^ blocks[i];
            b = Forward(b, s_foldAll) ^ blocks[i + 1];
            c = Forward(c, s_foldAll) ^ blocks[i + 2];
            d = Forward(d, s_foldAll) ^ blocks[i + 3];
        }

        Vector128<ulong> one = Forward(Forward(Forward(a, s_foldOne) ^ b, s_foldOne) ^ c, s_foldOne) ^ d;
        Span<Vector128<ulong>> last = [one];
        return Add(0, MemoryMarshal.AsBytes(last));
    }

    /// <summary>Multiplies sixteen bytes by a power of x, modulo the polynomial, into sixteen bytes.</summary>
    private static Vector128<ulong> Forward(Vector128<ulong> value, Vector128<ulong> constants) =>
        Pclmulqdq.CarrylessMultiply(value, constants, 0x00) ^ Pclmulqdq.CarrylessMultiply(value, constants, 0x11);

    private static ulong Add(ulong crc, ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> table = s_table;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            ulong sum = crc ^ (BitConverter.IsLittleEndian ? word : System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(word));
            crc = 0;
            for (int i = 0; i < 8; i++)
            {
                crc ^= table[((7 - i) * 256) + (int)((sum >> (i * 8)) & 0xFF)];
            }
        }

        foreach (byte last in bytes[(bytes.Length & ~7)..])
        {
            crc = (crc >> 8) ^ table[(int)((crc ^ last) & 0xFF)];
        }

        return crc;
    }

    /// <summary>
    /// What moves a block so many bits on: the lower half of a block holds the higher powers, so it is multiplied by 64 more. One power less
    /// than that, because the product of two reflected numbers comes out one bit low.
    /// </summary>
    private static Vector128<ulong> Constants(int bits) => Vector128.Create(Reflect(Power(bits + 63)), Reflect(Power(bits - 1)));

    private static ulong Power(int exponent)
    {
        ulong power = 1;
        for (int i = 0; i < exponent; i++)
        {
            power = (power << 1) ^ ((power >> 63) * Polynomial);
        }

        return power;
    }

    private static ulong Reflect(ulong value)
    {
        ulong reflected = 0;
        for (int i = 0; i < 64; i++)
        {
            reflected |= ((value >> i) & 1) << (63 - i);
        }

        return reflected;
    }

    private static ulong[] NewTable()
    {
        ulong[] table = new ulong[8 * 256];
        ulong polynomial = Reflect(Polynomial);
        for (int value = 0; value < table.Length; value++)
        {
            ulong crc = value < 256 ? (ulong)value : table[value - 256];
            if (value < 256)
            {
                for (int bit = 0; bit < 8; bit++)
                {
                    crc = (crc >> 1) ^ ((crc & 1) * polynomial);
                }
            }
            else
            {
                crc = (crc >> 8) ^ table[(int)(crc & 0xFF)];
            }

            table[value] = crc;
        }

        return table;
    }
}
