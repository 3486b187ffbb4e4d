using System.Buffers.Binary;

namespace Quench.Exports.Nbd.Wire;

/// <summary>Opens every option: 16 bytes, big-endian. (NBD protocol, "Fixed newstyle negotiation")</summary>
/// <remarks>
/// <code>
///   0            8        12       16
///   ├ "IHAVEOPT" ┼ option ┼ length ┤ length bytes of data
/// </code>
/// </remarks>
internal readonly record struct OptionRequest(NbdOption Option, uint Length)
{
    internal const int Size = 16;

    /// <summary>Reads it.</summary>
    /// <returns>False when it does not begin as an option does.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> wire, out OptionRequest request)
    {
        request = new OptionRequest((NbdOption)BinaryPrimitives.ReadUInt32BigEndian(wire[8..]), BinaryPrimitives.ReadUInt32BigEndian(wire[12..]));
        return BinaryPrimitives.ReadUInt64BigEndian(wire) == Greeting.OptionMagic;
    }
}
