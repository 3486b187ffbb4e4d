using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>Opens every command: 28 bytes, big-endian. (NBD protocol, "Request message")</summary>
/// <remarks>
/// <code>
///   0            4       6      8        16       24       28
///   ├ 0x25609513 ┼ flags ┼ type ┼ cookie ┼ offset ┼ length ┤ a write's data
/// </code>
/// </remarks>
internal readonly record struct NbdRequest(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length)
{
    internal const int Size = 28;
    internal const uint Magic = 0x25609513;

    /// <summary>Reads it.</summary>
    /// <returns>False when it does not begin as a command does: then nobody knows where the next one would.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> wire, out NbdRequest request)
    {
        request = new NbdRequest(
            (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(wire[4..]),
            (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(wire[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(wire[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(wire[16..]),
            BinaryPrimitives.ReadUInt32BigEndian(wire[24..]));
        return BinaryPrimitives.ReadUInt32BigEndian(wire) == Magic;
    }
}
