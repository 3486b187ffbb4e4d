using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>The first words, big-endian: the server's 18 bytes and the client's answer of 4. (NBD protocol, "Fixed newstyle negotiation")</summary>
/// <remarks>
/// <code>
///   0            8             16      18
///   ├ "NBDMAGIC" ┼ "IHAVEOPT" ─┼ flags ┤        client: u32 flags
/// </code>
/// </remarks>
internal static class Greeting
{
    internal const int Size = 18;
    internal const int AnswerSize = 4;
    internal const ulong OptionMagic = 0x49484156454F5054; // "IHAVEOPT"
    internal const uint FixedNewstyle = 1;
    internal const uint NoZeroes = 2;
    private const ulong Magic = 0x4E42444D41474943; // "NBDMAGIC"

    internal static void Write(Span<byte> wire)
    {
        BinaryPrimitives.WriteUInt64BigEndian(wire, Magic);
        BinaryPrimitives.WriteUInt64BigEndian(wire[8..], OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(wire[16..], (ushort)(FixedNewstyle | NoZeroes));
    }
}
