using System.Security.Cryptography;
using System.Text;
using Quench.Blocks.Buffers;

namespace Quench.Cli.Secrets;

/// <summary>A secret that somebody typed or handed over, in memory that is locked, never moved, and wiped at the end.</summary>
internal sealed class Secret : IDisposable
{
    private readonly SecretBytes _bytes;

    private Secret(SecretBytes bytes) => _bytes = bytes;

    /// <summary>The bytes; valid until disposed.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes.Memory;

    /// <summary>Takes the first line of some bytes: without its line end. The source is wiped.</summary>
    public static Secret FirstLineOf(Span<byte> source)
    {
        int end = source.IndexOf((byte)'\n');
        Span<byte> line = end < 0 ? source : source[..end];
        line = line is [.., (byte)'\r'] ? line[..^1] : line;
        SecretBytes taken = SecretBytes.Take(line);
        CryptographicOperations.ZeroMemory(source);
        return new Secret(taken);
    }

    /// <summary>Takes characters, as UTF-8. The source is wiped.</summary>
    public static Secret FromCharacters(Span<char> source)
    {
        SecretBytes bytes = new(Encoding.UTF8.GetByteCount(source));
        Encoding.UTF8.GetBytes(source, bytes.Span);
        source.Clear();
        return new Secret(bytes);
    }

    /// <summary>What a key file holds; the secret owns it from now on.</summary>
    public static Secret Of(SecretBytes bytes) => new(bytes);

    /// <summary>Whether both hold the same bytes, in a time that does not depend on them.</summary>
    public bool Matches(Secret other) => _bytes.Matches(other._bytes);

    public void Dispose() => _bytes.Dispose();
}
