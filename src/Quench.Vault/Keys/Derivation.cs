using System.Security.Cryptography;

namespace Quench.Vault.Keys;

/// <summary>The one way in which keys come from keys. (§1, §3)</summary>
internal static class Derivation
{
    private const int MaxInfo = 96;

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
}
