using System.Buffers.Binary;

namespace Quench.Exports.Fuse.Wire;

/// <summary>Opens every reply: 16 bytes. With a unique of 0 it is a notification instead, and the error is its code. (linux/fuse.h, struct fuse_out_header)</summary>
/// <remarks>
/// <code>
///   0        4       8               16
///   ├ length ┼ error ┼ unique ───────┤   unique as it was received, bit 63 (a request sent again) included
/// </code>
/// </remarks>
internal static class ReplyHeader
{
    internal const int Size = 16;

    /// <summary>FUSE_NOTIFY_RESEND: send again what was taken by somebody and not answered.</summary>
    internal const int NotifyResend = 7;

    internal static void Write(Span<byte> reply, int length, int error, ulong unique)
    {
        BinaryPrimitives.WriteInt32LittleEndian(reply, length);
        BinaryPrimitives.WriteInt32LittleEndian(reply[4..], error);
        BinaryPrimitives.WriteUInt64LittleEndian(reply[8..], unique);
    }
}
