using System.Buffers.Binary;
using System.Text;

namespace Quench.Exports.Nbd.Wire;

/// <summary>The data of NBD_OPT_INFO and NBD_OPT_GO, big-endian. (NBD protocol, same names)</summary>
/// <remarks>
/// <code>
///   0        4              4+n         6+n
///   ├ n, u32 ┼ name ────────┼ count, u16 ┼ count × u16 ┤
/// </code>
/// </remarks>
internal static class ExportQuery
{
    /// <summary>Reads it.</summary>
    /// <returns>False when a length does not fit the data, or the name is no UTF-8.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> wire, out string name, out List<NbdInfo> wanted)
    {
        wanted = [];
        if (!WireText.TryTake(ref wire, out name) || wire.Length < 2)
        {
            return false;
        }

        int count = BinaryPrimitives.ReadUInt16BigEndian(wire);
        wire = wire[2..];
        if (wire.Length != count * 2)
        {
            return false;
        }

        for (int i = 0; i < count; i++)
        {
            wanted.Add((NbdInfo)BinaryPrimitives.ReadUInt16BigEndian(wire[(i * 2)..]));
        }

        return true;
    }
}

/// <summary>Strings on the wire: UTF-8, at most 4096 bytes. (NBD protocol, "Conventions")</summary>
internal static class WireText
{
    internal const int MaxLength = 4096;
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Takes a string with a length of 32 bits before it off the front.</summary>
    internal static bool TryTake(ref ReadOnlySpan<byte> wire, out string text)
    {
        text = "";
        if (wire.Length < 4)
        {
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(wire);
        if (length > MaxLength || length > wire.Length - 4 || !TryDecode(wire.Slice(4, (int)length), out text))
        {
            return false;
        }

        wire = wire[(4 + (int)length)..];
        return true;
    }

    internal static bool TryDecode(ReadOnlySpan<byte> bytes, out string text)
    {
        try
        {
            text = s_strict.GetString(bytes);
            return !text.Contains('\0', StringComparison.Ordinal);
        }
        catch (DecoderFallbackException)
        {
            text = "";
            return false;
        }
    }
}
