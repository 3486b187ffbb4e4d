using System.Security.Cryptography;

namespace Quench.Vault.Keys;

/// <summary>Keys for what a program keeps of a vault on its own disk: one for each file, never stored. (§3)</summary>
internal static class CacheKeys
{
    private const int TagSize = 16;

    /// <summary>The cipher of a file of the cache.</summary>
    /// <param name="keys">The vault's.</param>
    /// <param name="file">The file's id: 16 random bytes of its own.</param>
    internal static AesGcm NewCipher(VaultKeys keys, Guid file)
    {
        Span<byte> context = stackalloc byte[32];
        keys.VaultId.TryWriteBytes(context, bigEndian: true, out _);
        file.TryWriteBytes(context[16..], bigEndian: true, out _);
        Span<byte> key = stackalloc byte[Secret.Size];
        Derivation.Expand(keys.Master, "quench/1/cache"u8, context, key);
        AesGcm cipher = new(key, TagSize);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }
}
