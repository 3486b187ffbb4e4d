using System.Security.Cryptography;

namespace Quench.Vault.Format;

/// <summary>32 random bytes as people write them on paper: 56 characters in groups of 7, three bytes of them a check. (§3.3)</summary>
internal static class RecoveryCode
{
    internal const int SecretSize = 32;
    private const int CheckSize = 3;
    private const int Characters = (SecretSize + CheckSize) * 8 / 5;
    private const int Group = 7;

    /// <summary>Characters of a written code, dashes included.</summary>
    internal const int TextLength = Characters + (Characters / Group) - 1;

    private const string Alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// <summary>Writes a code.</summary>
    /// <param name="secret">Its 32 bytes.</param>
    /// <param name="text">Receives <see cref="TextLength"/> characters of ASCII: never a string, which nobody could wipe.</param>
    internal static void Write(ReadOnlySpan<byte> secret, Span<byte> text)
    {
        Span<byte> all = stackalloc byte[SecretSize + CheckSize];
        secret[..SecretSize].CopyTo(all);
        Check(secret[..SecretSize], all[SecretSize..]);
        int at = 0;
        for (int i = 0; i < Characters; i++)
        {
            if (i > 0 && i % Group == 0)
            {
                text[at++] = (byte)'-';
            }

            text[at++] = (byte)Alphabet[FiveBits(all, i * 5)];
        }

        CryptographicOperations.ZeroMemory(all);
    }

    /// <summary>Reads a code as somebody typed it.</summary>
    /// <returns>False when it is no recovery code, or has a mistake.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> typed, Span<byte> secret)
    {
        Span<byte> all = stackalloc byte[SecretSize + CheckSize];
        all.Clear();
        int count = 0;
        foreach (byte character in typed)
        {
            if (character is (byte)'-' or (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
            {
                continue;
            }

            int value = Value((char)character);
            if (value < 0 || count == Characters)
            {
                return false;
            }

            PutFiveBits(all, count++ * 5, value);
        }

        Span<byte> check = stackalloc byte[CheckSize];
        Check(all[..SecretSize], check);
        bool sound = count == Characters && check.SequenceEqual(all[SecretSize..]);
        if (sound)
        {
            all[..SecretSize].CopyTo(secret);
        }

        CryptographicOperations.ZeroMemory(all);
        return sound;
    }

    private static void Check(ReadOnlySpan<byte> secret, Span<byte> check)
    {
        ReadOnlySpan<byte> label = "quench/1/recovery"u8;
        Span<byte> input = stackalloc byte[label.Length + SecretSize];
        label.CopyTo(input);
        secret.CopyTo(input[label.Length..]);
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(input, hash);
        hash[..CheckSize].CopyTo(check);
        CryptographicOperations.ZeroMemory(input);
    }

    private static int FiveBits(ReadOnlySpan<byte> bytes, int bit)
    {
        int window = (bytes[bit / 8] << 8) | (bit / 8 + 1 < bytes.Length ? bytes[(bit / 8) + 1] : 0);
        return (window >> (11 - (bit % 8))) & 31;
    }

    private static void PutFiveBits(Span<byte> bytes, int bit, int value)
    {
        int window = value << (11 - (bit % 8));
        bytes[bit / 8] |= (byte)(window >> 8);
        if (bit / 8 + 1 < bytes.Length)
        {
            bytes[(bit / 8) + 1] |= (byte)(window & 0xFF);
        }
    }

    private static int Value(char character) => char.ToUpperInvariant(character) switch
    {
        'I' or 'L' => 1,
        'O' => 0,
        char upper => Alphabet.IndexOf(upper, StringComparison.Ordinal),
    };
}
