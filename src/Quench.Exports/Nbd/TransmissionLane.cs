using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>One of a client's lanes: receives a command, serves it, answers it, and so on, on one thread with one buffer of its own.</summary>
/// <remarks>
/// <code>
/// its buffer   0 …………… 4068          4096 (page-aligned) ………… 4096 + 256 KiB
///                      ├ reply header ┼ data, of a read or a write ┤
/// </code>
/// </remarks>
internal sealed class TransmissionLane(Transmission owner)
{
    /// <summary>Bytes of data in a lane's buffer; longer reads and writes go in pieces.</summary>
    internal const int PieceSize = 256 * 1024;

    /// <summary>Where the data begin: after room for a reply's header, at a page.</summary>
    internal const int PieceOffset = 4096;

    private const long MaxStatusRange = 1L << 30; // of more nothing is said at once: a map of it may be long

    private const int ShortWork = 64 * 1024;

    // What a quick device takes for a command, with the way to the client: 100 µs, and 1 ns for each byte.
    private const long QuickTicks = 100 * TimeSpan.TicksPerMicrosecond;
    private const long QuickBytesEachTick = 100;

    private readonly NbdWire _wire = owner.Wire;
    private readonly NbdExport _export = owner.Export;
    private readonly AwaitedCall _call = new();
    private Memory<byte> _buffer; // lent while it runs

    /// <summary>Given to it, with the lead, by whoever had that.</summary>
    internal Signal Lead { get; } = new();

    /// <summary>Where a command's header is received.</summary>
    internal Span<byte> Header => _buffer.Span[..NbdRequest.Size];

    /// <summary>Whether its last command was served as only a quick device allows.</summary>
    internal bool WasQuick { get; private set; }

    /// <summary>Whether nobody leads because it alone has a command; for as long as it serves that.</summary>
    internal bool IsAlone { get; set; }

    /// <summary>Whether another command had come before its last one was answered, although it was alone.</summary>
    internal bool SawAnother { get; private set; }

    /// <summary>What its command is for a device.</summary>
    internal LaneWork Work =>
        Request.Command is not (NbdCommand.Read or NbdCommand.Write) || (Request.Flags & NbdCommandFlags.ForceUnitAccess) != 0 ? LaneWork.Other
        : Request.Length <= ShortWork ? LaneWork.Short : LaneWork.Large;

    /// <summary>The command that it has received.</summary>
    internal NbdRequest Request { get; private set; }

    /// <summary>Works until there are no more commands. A lane is made when a lead is wanted, and begins with it.</summary>
    internal void Run(AlignedBufferPool pieces)
    {
        using BufferLease lease = pieces.Rent();
        _buffer = lease.Memory;
        for (bool leads = true; owner.Receive(this, leads); leads = false)
        {
            long began = Stopwatch.GetTimestamp();
            SawAnother = false;
            Serve();
            IsAlone = false;
            WasQuick = Stopwatch.GetElapsedTime(began).Ticks < QuickTicks + (Request.Length / QuickBytesEachTick);
        }
    }

    /// <summary>Takes a command, and a write's data with it; while it leads.</summary>
    /// <returns>False when the command has been answered already: it was refused, or too long for the buffer and written piece by piece.</returns>
    internal bool Accept(in NbdRequest request)
    {
        Request = request;
        return request.Command != NbdCommand.Write || AcceptData();
    }

    private bool AcceptData()
    {
        if (Request.Length > CommandRules.MaxPayload)
        {
            throw new NbdProtocolException($"a write of {Request.Length} bytes");
        }

        NbdError error = owner.Rules.Check(Request);
        if (error == NbdError.None && Request.Length <= PieceSize)
        {
            _wire.Receive(Piece(0));
            return true;
        }

        for (uint done = 0; done < Request.Length; done += PieceSize)
        {
            Span<byte> piece = Piece(done);
            _wire.Receive(piece);
            error = error != NbdError.None ? error : Do(NbdCommand.Write, new Extent((long)Request.Offset + done, piece.Length));
        }

        Reply(error == NbdError.None ? Settle() : error);
        return false;
    }

    private void Serve()
    {
        NbdError error = owner.Rules.Check(Request);
        if (error != NbdError.None)
        {
            Reply(error);
            return;
        }

        switch (Request.Command)
        {
            case NbdCommand.Read when owner.Structured:
                ReadChunks();
                break;
            case NbdCommand.Read:
                ReadSimply();
                break;
            case NbdCommand.BlockStatus:
                Status();
                break;
            default:
                Change();
                break;
        }
    }

    private void Change()
    {
        Extent range = new((long)Request.Offset, Request.Length);
        bool writesZeros = Request.Command == NbdCommand.WriteZeroes && (Request.Flags & NbdCommandFlags.NoHole) != 0;
        NbdError error = writesZeros ? WriteZeros(range) : Do(Request.Command, range);
        Reply(error == NbdError.None ? Settle() : error);
    }

    /// <summary>Zeros that take up room: written like any data.</summary>
    private NbdError WriteZeros(Extent range)
    {
        _buffer.Span.Slice(PieceOffset, (int)Math.Min(PieceSize, range.Length)).Clear();
        NbdError error = NbdError.None;
        for (long done = 0; done < range.Length && error == NbdError.None; done += PieceSize)
        {
            error = Do(NbdCommand.Write, new Extent(range.Offset + done, Math.Min(PieceSize, range.Length - done)));
        }

        return error;
    }

    /// <summary>Makes durable what a client wants to be durable before it hears of it.</summary>
    private NbdError Settle() =>
        (Request.Flags & NbdCommandFlags.ForceUnitAccess) != 0 && Request.Command != NbdCommand.Flush
            ? Do(NbdCommand.Flush, default)
            : NbdError.None;

    /// <summary>Does something to the device; reads and writes with the start of the buffer's data. Its failures are the client's to hear, not the connection's end.</summary>
    private NbdError Do(NbdCommand command, Extent range)
    {
        owner.Everywhere.Begin();
        try
        {
            _call.Wait(BeginAsync(command, range));
            return NbdError.None;
        }
        catch (Exception failure) when (IsTheDevices(failure))
        {
            return Tell(failure);
        }
        finally
        {
            owner.Everywhere.End();
        }
    }

    private ValueTask BeginAsync(NbdCommand command, Extent range)
    {
        CancellationToken never = CancellationToken.None;
        return command switch
        {
            NbdCommand.Read => _export.Reader.ReadAsync(range.Offset, _buffer.Slice(PieceOffset, (int)range.Length), never),
            NbdCommand.Write => _export.Device!.WriteAsync(range.Offset, _buffer.Slice(PieceOffset, (int)range.Length), never),
            NbdCommand.WriteZeroes => _export.Device!.ZeroAsync(range, never),
            NbdCommand.Trim => _export.Device!.DiscardAsync(range, never),
            _ => _export.Device?.FlushAsync(never) ?? ValueTask.CompletedTask,
        };
    }

    private static bool IsTheDevices(Exception failure) => failure is IOException or QuenchException or UnauthorizedAccessException or ObjectDisposedException;

    private NbdError Tell(Exception failure)
    {
        if (failure is ObjectDisposedException)
        {
            return NbdError.Shutdown;
        }

        owner.Report($"export '{_export.Name}': {failure.Message}");
        return NbdError.InputOutput;
    }

    private void ReadChunks()
    {
        const int Header = PieceOffset - ReplyMessages.DataHeaderSize;
        for (uint done = 0; done < Request.Length;)
        {
            int length = Piece(done).Length;
            long offset = (long)Request.Offset + done;
            done += (uint)length;
            NbdError error = Do(NbdCommand.Read, new Extent(offset, length));
            if (error != NbdError.None)
            {
                Reply(error);
                return;
            }

            ReplyMessages.WriteDataHeader(_buffer.Span[Header..], Request.Cookie, offset, length, isLast: done == Request.Length);
            Send(_buffer.Span.Slice(Header, ReplyMessages.DataHeaderSize + length));
        }

        if (Request.Length == 0)
        {
            Reply(NbdError.None);
        }
    }

    /// <summary>An old client gets one header and then all data: once the header is out, a failure can only end the connection.</summary>
    private void ReadSimply()
    {
        const int Header = PieceOffset - SimpleReply.Size;
        int length = Piece(0).Length;
        NbdError error = Do(NbdCommand.Read, new Extent((long)Request.Offset, length));
        if (error != NbdError.None)
        {
            Reply(error);
            return;
        }

        SimpleReply.Write(_buffer.Span[Header..], NbdError.None, Request.Cookie);
        ReadOnlySpan<byte> start = _buffer.Span.Slice(Header, SimpleReply.Size + length);
        if (length == Request.Length)
        {
            Send(start);
        }
        else
        {
            SendInParts(start);
        }
    }

    private void SendInParts(ReadOnlySpan<byte> start)
    {
        owner.Replies.Take();
        try
        {
            _wire.Send(start);
            for (uint done = PieceSize; done < Request.Length; done += PieceSize)
            {
                Span<byte> piece = Piece(done);
                if (Do(NbdCommand.Read, new Extent((long)Request.Offset + done, piece.Length)) != NbdError.None)
                {
                    _wire.CutOff("a read failed in the middle of its answer"); // before anybody sends behind it
                    return;
                }

                _wire.Send(piece);
            }
        }
        finally
        {
            owner.Replies.Release();
        }
    }

    private void Status()
    {
        Extent range = new((long)Request.Offset, Math.Min(Request.Length, MaxStatusRange));
        for (int i = 0; i < owner.Contexts.Count; i++)
        {
            IReadOnlyList<NbdStatus> statuses;
            try
            {
                statuses = _call.Wait(owner.Contexts[i].GetStatusAsync(range, CancellationToken.None));
            }
            catch (Exception failure) when (IsTheDevices(failure))
            {
                Reply(Tell(failure));
                return;
            }

            int length = ReplyMessages.WriteStatuses(_buffer.Span, Request, i + 1, statuses, isLast: i == owner.Contexts.Count - 1);
            Send(_buffer.Span[..length]);
        }
    }

    private void Reply(NbdError error) => Send(_buffer.Span[..ReplyMessages.WriteOutcome(_buffer.Span, Request, error, owner.Structured)]);

    /// <summary>Sends one message whole.</summary>
    private void Send(ReadOnlySpan<byte> message)
    {
        SawAnother |= IsAlone && _wire.HasWaiting; // before the answer: what comes then is its echo
        owner.Replies.Send(message);
    }

    /// <summary>Where the next piece of the command's data lies when so many bytes are done.</summary>
    private Span<byte> Piece(uint done) => _buffer.Span.Slice(PieceOffset, (int)Math.Min(PieceSize, Request.Length - done));
}

/// <summary>What a command is for a device, as far as it says how long it takes.</summary>
internal enum LaneWork
{
    /// <summary>A small read or write.</summary>
    Short,

    /// <summary>A large one.</summary>
    Large,

    /// <summary>What may wait for a medium, or work on much of it.</summary>
    Other,
}
