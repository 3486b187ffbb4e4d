using System.Security.Cryptography;

namespace Quench.Vault.Keys;

/// <summary>The one way in which keys come from keys. (§1, §3)</summary>
internal static class Derivation
{
    private const int MaxInfo = 96;
    private const int BlockSize = 32;

    /// <summary>HKDF-Expand with SHA-256 for one block: a single HMAC, which allocates nothing.</summary>
    /// <param name="key">A uniformly random key.</param>
    /// <param name="label">What the new key is for.</param>
    /// <param name="context">Whom it is for.</param>
    /// <param name="destination">Receives 32 bytes.</param>
    internal static void Expand(ReadOnlySpan<byte> key, ReadOnlySpan<byte> label, ReadOnlySpan<byte> context, Span<byte> destination)
    {
        Span<byte> info = stackalloc byte[MaxInfo];
        label.CopyTo(info);
        context.CopyTo(info[label.Length..]);
        int length = label.Length + context.Length;
        info[length++] = 1;
        HMACSHA256.HashData(key, info[..length], destination);
    }

    /// <summary>HKDF with SHA-256 for two blocks, its extract step included; what is derived on the way is wiped. (RFC 5869)</summary>
    /// <param name="secret">The input keying material.</param>
    /// <param name="salt">The salt.</param>
    /// <param name="label">The info.</param>
    /// <param name="destination">Receives 64 bytes.</param>
    internal static void ExtractAndExpand(ReadOnlySpan<byte> secret, ReadOnlySpan<byte> salt, ReadOnlySpan<byte> label, Span<byte> destination)
    {
        Span<byte> key = stackalloc byte[BlockSize];
        Span<byte> info = stackalloc byte[BlockSize + MaxInfo];
        HMACSHA256.HashData(salt, secret, key);

        label.CopyTo(info);
        info[label.Length] = 1;
        HMACSHA256.HashData(key, info[..(label.Length + 1)], destination[..BlockSize]);

        destination[..BlockSize].CopyTo(info);
        label.CopyTo(info[BlockSize..]);
        info[BlockSize + label.Length] = 2;
        HMACSHA256.HashData(key, info[..(BlockSize + label.Length + 1)], destination.Slice(BlockSize, BlockSize));

        CryptographicOperations.ZeroMemory(key);
        CryptographicOperations.ZeroMemory(info);
    }
}
