using System.Security.Cryptography;
using System.Text;

namespace Quench.Cli.Secrets;

/// <summary>Secret bytes in memory that the collector never moves and that is wiped at the end.</summary>
internal sealed class Secret : IDisposable
{
    private readonly byte[] _bytes;
    private readonly int _length;

    private Secret(byte[] pinned, int length)
    {
        _bytes = pinned;
        _length = length;
    }

    /// <summary>The bytes; valid until disposed.</summary>
    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _length);

    /// <summary>Takes the first line of some bytes: without its line end. The source is wiped.</summary>
    public static Secret FirstLineOf(Span<byte> source)
    {
        int end = source.IndexOf((byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? source : source[..end];
        line = line is [.., (byte)'\r'] ? line[..^1] : line;
        byte[] pinned = GC.AllocateUninitializedArray<byte>(line.Length, pinned: true);
        line.CopyTo(pinned);
        CryptographicOperations.ZeroMemory(source);
        return new Secret(pinned, line.Length);
    }

    /// <summary>Takes characters, as UTF-8. The source is wiped.</summary>
    public static Secret FromCharacters(Span<char> source)
    {
        byte[] pinned = GC.AllocateUninitializedArray<byte>(Encoding.UTF8.GetMaxByteCount(source.Length), pinned: true);
        int length = Encoding.UTF8.GetBytes(source, pinned);
        source.Clear();
        return new Secret(pinned, length);
    }

    /// <summary>Whether both hold the same bytes, in a time that does not depend on them.</summary>
    public bool Matches(Secret other) => CryptographicOperations.FixedTimeEquals(Bytes.Span, other.Bytes.Span);

    public void Dispose() => CryptographicOperations.ZeroMemory(_bytes);
}
