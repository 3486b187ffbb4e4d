using System.Security.Cryptography;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Quench.Vault.Index.Runs;

// Seals and opens the pages of one file of the cache.
//
//   0                        4080  4096
//   ├ payload, encrypted ────┼ tag ┤        nonce: the page's number
//
// The file's key is its own (docs/vault-format.md, "3. Keys") and each page is written once, so a number is a nonce; a page that was changed, moved
// within its file or taken from another does not open. Not thread-safe.
internal sealed class PageCipher(AesGcm cipher) : IDisposable
{
    internal const int PageSize = 4096;
    internal const int PayloadSize = PageSize - TagSize;
    private const int TagSize = 16;
    private const int NonceSize = 12;

    internal void Seal(long page, ReadOnlySpan<byte> payload, Span<byte> destination)
    {
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(page, nonce);
        cipher.Encrypt(nonce, payload, destination[..PayloadSize], destination[PayloadSize..PageSize]);
    }

    internal bool TryOpen(long page, ReadOnlySpan<byte> source, Span<byte> payload)
    {
        Span<byte> nonce = stackalloc byte[NonceSize];
        WriteNonce(page, nonce);
        return Keys.VaultKeys.TryDecrypt(cipher, nonce, source[..PayloadSize], source[PayloadSize..PageSize], payload, []);
    }

    /// <inheritdoc/>
    public void Dispose() => cipher.Dispose();

    private static void WriteNonce(long page, Span<byte> nonce)
    {
        WriteInt64LittleEndian(nonce, page);
        nonce[8..].Clear();
    }
}
