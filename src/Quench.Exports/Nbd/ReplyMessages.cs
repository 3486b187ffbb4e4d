using System.Buffers.Binary;
using System.Text;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>Whole replies, written into a lane's buffer. (NBD protocol, "Simple reply message", "Structured reply types")</summary>
internal static class ReplyMessages
{
    /// <summary>Before the data of a read, when the client takes chunks: a chunk's header and the offset.</summary>
    internal const int DataHeaderSize = StructuredReply.Size + 8;

    private const int MaxStatuses = 4096;

    /// <summary>An answer without data. Old clients hear a number; the others, when something failed, a word as well.</summary>
    /// <returns>Its length.</returns>
    internal static int WriteOutcome(Span<byte> wire, in NbdRequest request, NbdError error, bool structured)
    {
        bool chunk = structured && (error != NbdError.None || request.Command is NbdCommand.Read or NbdCommand.BlockStatus);
        if (!chunk)
        {
            SimpleReply.Write(wire, error, request.Cookie);
            return SimpleReply.Size;
        }

        if (error == NbdError.None)
        {
            StructuredReply.Write(wire, NbdChunk.None, isLast: true, request.Cookie, 0);
            return StructuredReply.Size;
        }

        const int Fixed = 6;
        int text = Encoding.UTF8.GetBytes(error.ToString(), wire[(StructuredReply.Size + Fixed)..]);
        StructuredReply.Write(wire, NbdChunk.Error, isLast: true, request.Cookie, Fixed + text);
        BinaryPrimitives.WriteUInt32BigEndian(wire[StructuredReply.Size..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(wire[(StructuredReply.Size + 4)..], (ushort)text);
        return StructuredReply.Size + Fixed + text;
    }

    /// <summary>What comes before a piece of a read's data.</summary>
    internal static void WriteDataHeader(Span<byte> wire, ulong cookie, long offset, int length, bool isLast)
    {
        StructuredReply.Write(wire, NbdChunk.OffsetData, isLast, cookie, length + 8);
        BinaryPrimitives.WriteInt64BigEndian(wire[StructuredReply.Size..], offset);
    }

    /// <summary>What a context says.</summary>
    /// <returns>Its length.</returns>
    internal static int WriteStatuses(Span<byte> wire, in NbdRequest request, int context, IReadOnlyList<NbdStatus> statuses, bool isLast)
    {
        int count = Math.Min(statuses.Count, (request.Flags & NbdCommandFlags.RequestOne) != 0 ? 1 : MaxStatuses);
        int length = 4 + (count * 8);
        StructuredReply.Write(wire, NbdChunk.BlockStatus, isLast, request.Cookie, length);
        Span<byte> body = wire.Slice(StructuredReply.Size, length);
        BinaryPrimitives.WriteInt32BigEndian(body, context);
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(body[(4 + (i * 8))..], (uint)statuses[i].Length);
            BinaryPrimitives.WriteUInt32BigEndian(body[(8 + (i * 8))..], statuses[i].Flags);
        }

        return StructuredReply.Size + length;
    }
}
