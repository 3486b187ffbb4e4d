using System.Security.Cryptography;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault;

/// <summary>Encrypts and opens one chunk under the key that only this chunk has. (§5.2)</summary>
internal static class ChunkCipher
{
    /// <summary>Encrypts a payload into its sealed form, and opens that again.</summary>
    /// <param name="session">The session whose key it goes under.</param>
    /// <param name="id">The chunk's id.</param>
    /// <param name="meta">How to open it.</param>
    /// <param name="payload">What to encrypt: the plaintext, or its zstd frame. May lie where the ciphertext goes.</param>
    /// <param name="destination">Receives the payload's length and <see cref="SealedLayout.Overhead"/> more.</param>
    /// <param name="reopened">Receives what the sealed form gives back; as long as the payload.</param>
    /// <returns>False when the sealed form does not open.</returns>
    internal static bool TrySeal(
        SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> payload, Span<byte> destination, Span<byte> reopened)
    {
        Span<byte> associated = stackalloc byte[SealedLayout.AssociatedSize];
        using AesGcm cipher = Prepare(session, id, meta, associated);
        Span<byte> nonce = destination[..SealedLayout.NonceSize];
        RandomNumberGenerator.Fill(nonce);
        Span<byte> ciphertext = destination.Slice(SealedLayout.NonceSize, payload.Length);
        Span<byte> tag = destination.Slice(SealedLayout.NonceSize + payload.Length, SealedLayout.TagSize);
        cipher.Encrypt(nonce, payload, ciphertext, tag, associated);
        return VaultKeys.TryDecrypt(cipher, nonce, ciphertext, tag, reopened, associated);
    }

    /// <summary>Opens a sealed chunk.</summary>
    /// <param name="session">The session that sealed it.</param>
    /// <param name="id">The chunk's id.</param>
    /// <param name="meta">How to open it.</param>
    /// <param name="sealed">The sealed bytes.</param>
    /// <param name="payload">Receives the payload: <see cref="SealedLayout.Overhead"/> bytes fewer.</param>
    /// <returns>False when it is damaged or forged.</returns>
    internal static bool TryOpen(SessionKey session, ChunkId id, ChunkMeta meta, ReadOnlySpan<byte> @sealed, Span<byte> payload)
    {
        Span<byte> associated = stackalloc byte[SealedLayout.AssociatedSize];
        using AesGcm cipher = Prepare(session, id, meta, associated);
        return VaultKeys.TryDecrypt(
            cipher, @sealed[..SealedLayout.NonceSize], @sealed[SealedLayout.NonceSize..^SealedLayout.TagSize],
            @sealed[^SealedLayout.TagSize..], payload, associated);
    }

    private static AesGcm Prepare(SessionKey session, ChunkId id, ChunkMeta meta, Span<byte> associated)
    {
        Span<byte> idBytes = stackalloc byte[ChunkId.Size];
        id.CopyTo(idBytes);
        SealedLayout.WriteAssociated(associated, session.VaultId, session.Epoch, session.SessionId, idBytes, meta.Bits);
        Span<byte> key = stackalloc byte[Secret.Size];
        Derivation.Expand(session.Key, "quench/1/chunk"u8, idBytes, key);
        AesGcm cipher = new(key, SealedLayout.TagSize);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }
}
