using System.Buffers.Binary;

namespace Quench.Exports.Fuse.Wire;

/// <summary>The handshake. (linux/fuse.h, struct fuse_init_in and struct fuse_init_out)</summary>
/// <remarks>
/// <code>
/// in    0       4       8           12      16       20 … 64
///       ├ major ┼ minor ┼ readahead ┼ flags ┼ flags2 ┼ unused ┤
/// out   0       4       8           12      16     18     20          24       28      30      32      36 … 64
///       ├ major ┼ minor ┼ readahead ┼ flags ┼ backg┼ cong ┼ max write ┼ granul ┼ pages ┼ align ┼ flags2┼ unused ┤
/// </code>
/// </remarks>
internal static class InitMessage
{
    internal const int ReplySize = 64;
    internal const int Major = 7;

    /// <summary>The oldest kernel interface we speak: the one with max_pages. (Linux 4.20)</summary>
    internal const int MinorMin = 28;

    /// <summary>The newest one whose structures are the ones written here.</summary>
    internal const int MinorMax = 45;

    /// <summary>The first one that can send requests again.</summary>
    internal const int MinorResend = 40;

    /// <summary>The kernel sends requests again when asked to. Only ever offered: nothing is to be answered.</summary>
    internal const ulong HasResend = 1UL << 39;

    /// <summary>Direct reads and writes are sent without waiting for one another; without it the loop device falls to one request at a time.</summary>
    internal const ulong AsyncDirectIo = 1UL << 15;

    /// <summary>The reply's max_pages counts.</summary>
    internal const ulong MaxPages = 1UL << 22;

    /// <summary>Flags beyond 32 bits are in use.</summary>
    internal const ulong InitExtended = 1UL << 30;

    internal static int ReadMinor(ReadOnlySpan<byte> arguments) => BinaryPrimitives.ReadInt32LittleEndian(arguments[4..]);

    internal static int ReadMajor(ReadOnlySpan<byte> arguments) => BinaryPrimitives.ReadInt32LittleEndian(arguments);

    internal static ulong ReadFlags(ReadOnlySpan<byte> arguments)
    {
        ulong low = BinaryPrimitives.ReadUInt32LittleEndian(arguments[12..]);
        ulong high = arguments.Length >= 20 && (low & InitExtended) != 0 ? BinaryPrimitives.ReadUInt32LittleEndian(arguments[16..]) : 0;
        return low | (high << 32);
    }

    internal static void WriteReply(Span<byte> reply, int minor, ulong flags, int maxBackground, int maxWrite, int maxPages)
    {
        reply[..ReplySize].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(reply, Major);
        BinaryPrimitives.WriteInt32LittleEndian(reply[4..], minor);
        BinaryPrimitives.WriteInt32LittleEndian(reply[8..], maxWrite);
        BinaryPrimitives.WriteUInt32LittleEndian(reply[12..], (uint)(flags & uint.MaxValue));
        BinaryPrimitives.WriteUInt16LittleEndian(reply[16..], (ushort)maxBackground);
        BinaryPrimitives.WriteUInt16LittleEndian(reply[18..], (ushort)(maxBackground * 3 / 4));
        BinaryPrimitives.WriteInt32LittleEndian(reply[20..], maxWrite);
        BinaryPrimitives.WriteInt32LittleEndian(reply[24..], 1);
        BinaryPrimitives.WriteUInt16LittleEndian(reply[28..], (ushort)maxPages);
        BinaryPrimitives.WriteUInt32LittleEndian(reply[32..], (uint)(flags >> 32));
    }
}
