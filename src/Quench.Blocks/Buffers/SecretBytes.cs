using System.Security.Cryptography;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Blocks.Buffers;

/// <summary>
/// Secret bytes: outside the managed heap, so nothing moves or copies them; locked into RAM where the kernel allows; left out of core dumps;
/// wiped when disposed. The owner disposes them, and nothing taken from them may be used after that. Not thread-safe.
/// </summary>
public sealed class SecretBytes : IDisposable
{
    private readonly NativeBuffer _memory;
    private int _length;
    private bool _disposed;

    /// <summary>Room for a secret, zeroed.</summary>
    /// <param name="length">Bytes; zero or more.</param>
    public SecretBytes(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        _memory = new NativeBuffer(Math.Max(1, length), locked: true, undumped: true);
        _length = length;
    }

    /// <summary>Bytes.</summary>
    public int Length => _length;

    /// <summary>The secret; valid until disposed.</summary>
    public Span<byte> Span => _memory.GetSpan()[.._length];

    /// <summary>The secret, to be lent to whoever needs it for the length of a call.</summary>
    public ReadOnlyMemory<byte> Memory => _memory.Memory[.._length];

    /// <summary>Takes bytes over: what they are taken from is wiped.</summary>
    public static SecretBytes Take(Span<byte> source)
    {
        SecretBytes secret = new(source.Length);
        source.CopyTo(secret.Span);
        CryptographicOperations.ZeroMemory(source);
        return secret;
    }

    /// <summary>
    /// Forbids core dumps of this process, and that other users' processes read its memory. For the process that is about to take a secret in;
    /// there is no way back. Does what the kernel allows.
    /// </summary>
    public static void ForbidDumps() => _ = ProcessControl.TryForbidDumps();

    /// <summary>Cuts the secret off after so many bytes.</summary>
    /// <param name="length">No more than now.</param>
    public void Shorten(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length, _length);
        CryptographicOperations.ZeroMemory(Span[length..]);
        _length = length;
    }

    /// <summary>Whether both hold the same bytes, in a time that does not depend on them.</summary>
    public bool Matches(SecretBytes other) => CryptographicOperations.FixedTimeEquals(Span, other.Span);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            CryptographicOperations.ZeroMemory(_memory.GetSpan());
            ((IDisposable)_memory).Dispose();
        }
    }
}
