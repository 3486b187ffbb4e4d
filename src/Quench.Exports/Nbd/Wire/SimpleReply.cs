using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>A reply in its old form: 16 bytes, big-endian. (NBD protocol, "Simple reply message")</summary>
/// <remarks>
/// <code>
///   0            4       8        16
///   ├ 0x67446698 ┼ error ┼ cookie ┤ a read's data when there is no error
/// </code>
/// </remarks>
internal static class SimpleReply
{
    internal const int Size = 16;
    internal const uint Magic = 0x67446698;

    internal static void Write(Span<byte> wire, NbdError error, ulong cookie)
    {
        BinaryPrimitives.WriteUInt32BigEndian(wire, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(wire[4..], (uint)error);
        BinaryPrimitives.WriteUInt64BigEndian(wire[8..], cookie);
    }
}
