using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>Opens every reply to an option: 20 bytes, big-endian. (NBD protocol, "Fixed newstyle negotiation")</summary>
/// <remarks>
/// <code>
///   0                      8        12     16       20
///   ├ 0x0003e889045565a9 ──┼ option ┼ type ┼ length ┤ length bytes of data
/// </code>
/// </remarks>
internal static class OptionReplyHeader
{
    internal const int Size = 20;
    private const ulong Magic = 0x0003E889045565A9;

    internal static void Write(Span<byte> wire, NbdOption option, NbdOptionReply type, int length)
    {
        BinaryPrimitives.WriteUInt64BigEndian(wire, Magic);
        BinaryPrimitives.WriteUInt32BigEndian(wire[8..], (uint)option);
        BinaryPrimitives.WriteUInt32BigEndian(wire[12..], (uint)type);
        BinaryPrimitives.WriteInt32BigEndian(wire[16..], length);
    }
}
