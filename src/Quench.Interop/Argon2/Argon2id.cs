using System.Runtime.InteropServices;

namespace Quench.Interop.Argon2;

/// <summary>Argon2id version 0x13 (RFC 9106) through libargon2.</summary>
public static unsafe partial class Argon2id
{
    /// <summary>Derives key material from a password. Takes the memory and the time that the parameters say; holds one core.</summary>
    /// <param name="password">The password's bytes; borrowed.</param>
    /// <param name="salt">At least 16 random bytes.</param>
    /// <param name="memoryKibibytes">Memory cost in KiB.</param>
    /// <param name="passes">Time cost.</param>
    /// <param name="lanes">Parallelism.</param>
    /// <param name="destination">Receives the key; at least 16 bytes.</param>
    public static void Derive(
        ReadOnlySpan<byte> password, ReadOnlySpan<byte> salt, int memoryKibibytes, int passes, int lanes, Span<byte> destination)
    {
        fixed (byte* secret = password)
        fixed (byte* seed = salt)
        fixed (byte* output = destination)
        {
            int error = argon2id_hash_raw(
                (uint)passes, (uint)memoryKibibytes, (uint)lanes, secret, (nuint)password.Length, seed, (nuint)salt.Length, output, (nuint)destination.Length);
            if (error != 0)
            {
                throw new InvalidOperationException($"Argon2id refused its parameters (code {error}): {memoryKibibytes} KiB, {passes} passes, {lanes} lanes");
            }
        }
    }

    [LibraryImport(Libraries.Argon2)]
    private static partial int argon2id_hash_raw(
        uint passes, uint memory, uint lanes, byte* password, nuint passwordLength, byte* salt, nuint saltLength, byte* hash, nuint hashLength);
}
