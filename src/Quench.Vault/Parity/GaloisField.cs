namespace Quench.Vault.Parity;

/// <summary>
/// The field of 256 elements in which parity is computed: bytes as polynomials over GF(2) modulo x⁸+x⁴+x³+x²+1 (0x11D), of which x is
/// a generator. Addition is exclusive or. (docs/vault-format.md §6.5)
/// </summary>
internal static class GaloisField
{
    private const int Polynomial = 0x11D;
    private const int Order = 255;
    private static readonly byte[] s_powers = NewPowers(); // x to the power of the index, twice over so that sums of two logarithms need no remainder
    private static readonly byte[] s_logarithms = NewLogarithms();

    internal static byte Multiply(byte a, byte b) => a == 0 || b == 0 ? (byte)0 : s_powers[s_logarithms[a] + s_logarithms[b]];

    /// <summary>The element that multiplied by this one gives 1. There is none for 0.</summary>
    internal static byte Inverse(byte a) => a == 0 ? throw new DivideByZeroException() : s_powers[Order - s_logarithms[a]];

    private static byte[] NewPowers()
    {
        byte[] powers = new byte[2 * Order];
        int power = 1;
        for (int exponent = 0; exponent < powers.Length; exponent++)
        {
            powers[exponent] = (byte)power;
            power <<= 1;
            power ^= power > byte.MaxValue ? Polynomial : 0;
        }

        return powers;
    }

    private static byte[] NewLogarithms()
    {
        byte[] logarithms = new byte[256];
        for (int exponent = 0; exponent < Order; exponent++)
        {
            logarithms[s_powers[exponent]] = (byte)exponent;
        }

        return logarithms;
    }
}
