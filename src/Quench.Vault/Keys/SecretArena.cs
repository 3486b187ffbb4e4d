using System.Security.Cryptography;
using Quench.Interop.Memory;

namespace Quench.Vault.Keys;

/// <summary>
/// Memory for keys: outside the managed heap, so nothing moves or copies it; locked into RAM where the kernel allows; left out
/// of core dumps; wiped when disposed.
/// Thread-safe.
/// </summary>
internal sealed class SecretArena : IDisposable
{
    private const int PageSize = 16 * 1024;

    private readonly Lock _gate = new(); // guards the three below
    private readonly List<NativeBuffer> _pages = [];
    private int _used = PageSize; // of the last page
    private bool _disposed;

    /// <summary>Room for one more 32-byte key, zeroed.</summary>
    internal Secret New()
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_used + Secret.Size > PageSize)
            {
                _pages.Add(new NativeBuffer(PageSize, locked: true, undumped: true));
                _used = 0;
            }

            Secret secret = new(_pages[^1], _used);
            _used += Secret.Size;
            return secret;
        }
    }

    /// <summary>A key of random bytes.</summary>
    internal Secret NewRandom()
    {
        Secret secret = New();
        RandomNumberGenerator.Fill(secret.Span);
        return secret;
    }

    /// <summary>Wipes every key. None may be in use.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            foreach (NativeBuffer page in _pages)
            {
                CryptographicOperations.ZeroMemory(page.GetSpan());
                ((IDisposable)page).Dispose();
            }

            _pages.Clear();
        }
    }
}

/// <summary>A key of 32 bytes in an arena, valid until the arena is disposed.</summary>
internal sealed class Secret(NativeBuffer page, int offset)
{
    internal const int Size = 32;

    /// <summary>The key.</summary>
    internal Span<byte> Span => page.GetSpan().Slice(offset, Size);
}
