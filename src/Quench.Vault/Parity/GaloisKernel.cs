using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Quench.Vault.Parity;

/// <summary>Ways to multiply and add; all give the same bytes.</summary>
internal enum GaloisWay
{
    /// <summary>One byte at a time, from a table of products.</summary>
    Scalar,

    /// <summary>Sixteen bytes at a time: two shuffles look the products of both nibbles up.</summary>
    Shuffle128,

    /// <summary>The same with 32 bytes.</summary>
    Shuffle256,

    /// <summary>32 bytes by one affine transform of each byte's bits.</summary>
    Affine256,

    /// <summary>The same with 64 bytes.</summary>
    Affine512,
}

/// <summary>
/// The inner loop of parity: <c>into ^= factor · source</c> over whole shards. Allocates nothing. Multiplication by a constant is linear in
/// the bits of the other operand, so it is the sum of the products of the two nibbles, each one shuffle of a table of 16 (Plank, Greenan and
/// Miller, "Screaming Fast Galois Field Arithmetic Using Intel SIMD Instructions", FAST 2013, section 4), or one 8×8 bit matrix, which GFNI
/// applies to each byte whatever the field's polynomial is (Intel 64 and IA-32 manual, volume 2A, GF2P8AFFINEQB).
/// </summary>
internal static class GaloisKernel
{
    private const int Nibbles = 16;
    private static readonly byte[] s_products = NewProducts(); // 256 · 256: the product of factor and byte
    private static readonly Vector128<byte>[] s_low = NewNibbles(shift: 0); // of each factor: products of the low nibble
    private static readonly Vector128<byte>[] s_high = NewNibbles(shift: 4); // … and of the high one
    private static readonly ulong[] s_matrices = NewMatrices();

    /// <summary>The fastest way that this processor knows.</summary>
    internal static GaloisWay Best { get; } = Enum.GetValues<GaloisWay>().Where(IsSupported).Max();

    internal static bool IsSupported(GaloisWay way) => way switch
    {
        GaloisWay.Scalar => true,
        GaloisWay.Shuffle128 => Vector128.IsHardwareAccelerated,
        GaloisWay.Shuffle256 => Avx2.IsSupported,
        GaloisWay.Affine256 => Gfni.V256.IsSupported && Avx2.IsSupported,
        GaloisWay.Affine512 => Gfni.V512.IsSupported,
        _ => false,
    };

    /// <summary>Adds a multiple of one run of bytes to another of the same length.</summary>
    internal static void MultiplyAdd(Span<byte> into, ReadOnlySpan<byte> source, byte factor) => MultiplyAdd(Best, into, source, factor);

    /// <summary>As above, one given way; the bytes that fill no whole vector go the scalar way.</summary>
    internal static void MultiplyAdd(GaloisWay way, Span<byte> into, ReadOnlySpan<byte> source, byte factor)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(source.Length, into.Length);
        int done = way switch
        {
            GaloisWay.Shuffle128 => Shuffle128(into, source, factor),
            GaloisWay.Shuffle256 => Shuffle256(into, source, factor),
            GaloisWay.Affine256 => Affine256(into, source, factor),
            GaloisWay.Affine512 => Affine512(into, source, factor),
            _ => 0,
        };
        ReadOnlySpan<byte> products = s_products.AsSpan(factor * 256, 256);
        for (int i = done; i < into.Length; i++)
        {
            into[i] ^= products[source[i]];
        }
    }

    private static int Shuffle128(Span<byte> into, ReadOnlySpan<byte> source, byte factor)
    {
        Span<Vector128<byte>> sums = MemoryMarshal.Cast<byte, Vector128<byte>>(into);
        ReadOnlySpan<Vector128<byte>> bytes = MemoryMarshal.Cast<byte, Vector128<byte>>(source);
        Vector128<byte> low = s_low[factor];
        Vector128<byte> high = s_high[factor];
        Vector128<byte> mask = Vector128.Create((byte)0x0F);
        for (int i = 0; i < sums.Length; i++)
        {
            Vector128<byte> ofHigh = Vector128.ShiftRightLogical(bytes[i], 4);
            sums[i] ^= Vector128.Shuffle(low, bytes[i] & mask) ^ Vector128.Shuffle(high, ofHigh);
        }

        return sums.Length * Vector128<byte>.Count;
    }

    private static int Shuffle256(Span<byte> into, ReadOnlySpan<byte> source, byte factor)
    {
        Span<Vector256<byte>> sums = MemoryMarshal.Cast<byte, Vector256<byte>>(into);
        ReadOnlySpan<Vector256<byte>> bytes = MemoryMarshal.Cast<byte, Vector256<byte>>(source);
        Vector256<byte> low = Vector256.Create(s_low[factor], s_low[factor]);
        Vector256<byte> high = Vector256.Create(s_high[factor], s_high[factor]);
        Vector256<byte> mask = Vector256.Create((byte)0x0F);
        for (int i = 0; i < sums.Length; i++)
        {
            Vector256<byte> ofHigh = Vector256.ShiftRightLogical(bytes[i].AsUInt16(), 4).AsByte() & mask;
            sums[i] ^= Avx2.Shuffle(low, bytes[i] & mask) ^ Avx2.Shuffle(high, ofHigh);
        }

        return sums.Length * Vector256<byte>.Count;
    }

    private static int Affine256(Span<byte> into, ReadOnlySpan<byte> source, byte factor)
    {
        Span<Vector256<byte>> sums = MemoryMarshal.Cast<byte, Vector256<byte>>(into);
        ReadOnlySpan<Vector256<byte>> bytes = MemoryMarshal.Cast<byte, Vector256<byte>>(source);
        Vector256<byte> matrix = Vector256.Create(s_matrices[factor]).AsByte();
        for (int i = 0; i < sums.Length; i++)
        {
            sums[i] ^= Gfni.V256.GaloisFieldAffineTransform(bytes[i], matrix, 0);
        }

        return sums.Length * Vector256<byte>.Count;
    }

    private static int Affine512(Span<byte> into, ReadOnlySpan<byte> source, byte factor)
    {
        Span<Vector512<byte>> sums = MemoryMarshal.Cast<byte, Vector512<byte>>(into);
        ReadOnlySpan<Vector512<byte>> bytes = MemoryMarshal.Cast<byte, Vector512<byte>>(source);
        Vector512<byte> matrix = Vector512.Create(s_matrices[factor]).AsByte();
        for (int i = 0; i < sums.Length; i++)
        {
            sums[i] ^= Gfni.V512.GaloisFieldAffineTransform(bytes[i], matrix, 0);
        }

        return sums.Length * Vector512<byte>.Count;
    }

    private static byte[] NewProducts()
    {
        byte[] products = new byte[256 * 256];
        for (int i = 0; i < products.Length; i++)
        {
            products[i] = GaloisField.Multiply((byte)(i >> 8), (byte)(i & 0xFF));
        }

        return products;
    }

    private static Vector128<byte>[] NewNibbles(int shift)
    {
        Vector128<byte>[] tables = new Vector128<byte>[256];
        Span<byte> table = stackalloc byte[Nibbles];
        for (int factor = 0; factor < tables.Length; factor++)
        {
            for (int nibble = 0; nibble < Nibbles; nibble++)
            {
                table[nibble] = GaloisField.Multiply((byte)factor, (byte)(nibble << shift));
            }

            tables[factor] = Vector128.Create<byte>(table);
        }

        return tables;
    }

    /// <summary>Of each factor the bit matrix: bit i of a product is the parity of the byte's bits under the mask in byte 7 − i.</summary>
    private static ulong[] NewMatrices()
    {
        ulong[] matrices = new ulong[256];
        for (int factor = 0; factor < matrices.Length; factor++)
        {
            for (int column = 0; column < 8; column++)
            {
                byte product = GaloisField.Multiply((byte)factor, (byte)(1 << column));
                for (int row = 0; row < 8; row++)
                {
                    ulong bit = (ulong)(product >> row) & 1;
                    matrices[factor] |= bit << (((7 - row) * 8) + column);
                }
            }
        }

        return matrices;
    }
}
