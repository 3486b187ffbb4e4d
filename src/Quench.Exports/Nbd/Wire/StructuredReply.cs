using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>(NBD protocol, "Structured reply types")</summary>
internal enum NbdChunk : ushort
{
    None = 0,
    OffsetData = 1,
    OffsetHole = 2,
    BlockStatus = 5,
    Error = 0x8001,
}

/// <summary>One chunk of a reply: 20 bytes, big-endian. (NBD protocol, "Structured reply chunk message")</summary>
/// <remarks>
/// <code>
///   0            4       6      8        16       20
///   ├ 0x668e33ef ┼ flags ┼ type ┼ cookie ┼ length ┤ length bytes
/// </code>
/// flags: bit 0, this is the last chunk.
/// </remarks>
internal static class StructuredReply
{
    internal const int Size = 20;
    internal const uint Magic = 0x668E33EF;
    internal const ushort Done = 1;

    internal static void Write(Span<byte> wire, NbdChunk type, bool isLast, ulong cookie, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(wire, Magic);
        BinaryPrimitives.WriteUInt16BigEndian(wire[4..], isLast ? Done : (ushort)0);
        BinaryPrimitives.WriteUInt16BigEndian(wire[6..], (ushort)type);
        BinaryPrimitives.WriteUInt64BigEndian(wire[8..], cookie);
        BinaryPrimitives.WriteInt32BigEndian(wire[16..], length);
    }
}
