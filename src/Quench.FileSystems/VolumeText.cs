using System.Text;

namespace Quench.FileSystems;

/// <summary>Names and identifiers as superblocks keep them.</summary>
internal static class VolumeText
{
    /// <summary>Text up to its first zero byte; UTF-8.</summary>
    public static string Label(ReadOnlySpan<byte> bytes)
    {
        int end = bytes.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]);
    }

    /// <summary>Sixteen bytes in the usual text form; empty when all are zero.</summary>
    public static string Uuid(ReadOnlySpan<byte> bytes) => bytes.ContainsAnyExcept((byte)0) ? new Guid(bytes, bigEndian: true).ToString() : "";
}
