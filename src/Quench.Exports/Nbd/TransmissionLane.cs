using System.Runtime.CompilerServices;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <summary>One of a client's lanes: receives a command, serves it, answers it, and so on, with one buffer of its own.</summary>
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

    private readonly NbdWire _wire = owner.Wire;
    private readonly NbdExport _export = owner.Export;
    private Memory<byte> _buffer; // lent while it runs

    /// <summary>Its place in the queues that it waits in, one after the other.</summary>
    internal TurnQueue.Turn Turn { get; } = new();

    /// <summary>Where a command's header is received.</summary>
    internal Memory<byte> Header => _buffer[..NbdRequest.Size];

    /// <summary>The command that it has received.</summary>
    internal NbdRequest Request { get; private set; }

    /// <summary>Works until there are no more commands. If something breaks that is more than a command's failure, it breaks the connection.</summary>
    internal async Task RunAsync(AlignedBufferPool pieces)
    {
        using BufferLease lease = pieces.Rent();
        _buffer = lease.Memory;
        try
        {
            while (await owner.ReceiveAsync(this))
            {
                await ServeAsync();
            }
        }
        catch
        {
            await owner.BreakAsync();
            throw;
        }
    }

    /// <summary>Takes a command, and a write's data with it; in its turn to receive.</summary>
    /// <returns>False when the command has been answered already: it was refused, or too long for the buffer and written piece by piece.</returns>
    internal ValueTask<bool> AcceptAsync(in NbdRequest request)
    {
        Request = request;
        return request.Command == NbdCommand.Write ? AcceptDataAsync() : ValueTask.FromResult(true);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> AcceptDataAsync()
    {
        if (Request.Length > CommandRules.MaxPayload)
        {
            throw new NbdProtocolException($"a write of {Request.Length} bytes");
        }

        NbdError error = owner.Rules.Check(Request);
        if (error == NbdError.None && Request.Length <= PieceSize)
        {
            await _wire.ReceiveAsync(Piece(0));
            return true;
        }

        for (uint done = 0; done < Request.Length; done += PieceSize)
        {
            Memory<byte> piece = Piece(done);
            await _wire.ReceiveAsync(piece);
            error = error != NbdError.None ? error : await WorkAsync(NbdCommand.Write, new Extent((long)Request.Offset + done, piece.Length));
        }

        await ReplyAsync(error == NbdError.None ? await SettleAsync() : error);
        return false;
    }

    private ValueTask ServeAsync()
    {
        NbdError error = owner.Rules.Check(Request);
        return error != NbdError.None ? ReplyAsync(error)
            : Request.Command == NbdCommand.Read ? (owner.Structured ? ReadChunksAsync() : ReadSimplyAsync())
            : Request.Command == NbdCommand.BlockStatus ? StatusAsync()
            : ChangeAsync();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ChangeAsync()
    {
        Extent range = new((long)Request.Offset, Request.Length);
        bool writesZeros = Request.Command == NbdCommand.WriteZeroes && (Request.Flags & NbdCommandFlags.NoHole) != 0;
        NbdError error = writesZeros ? await WriteZerosAsync(range) : await WorkAsync(Request.Command, range);
        await ReplyAsync(error == NbdError.None ? await SettleAsync() : error);
    }

    /// <summary>Zeros that take up room: written like any data.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<NbdError> WriteZerosAsync(Extent range)
    {
        _buffer.Span.Slice(PieceOffset, (int)Math.Min(PieceSize, range.Length)).Clear();
        NbdError error = NbdError.None;
        for (long done = 0; done < range.Length && error == NbdError.None; done += PieceSize)
        {
            error = await WorkAsync(NbdCommand.Write, new Extent(range.Offset + done, Math.Min(PieceSize, range.Length - done)));
        }

        return error;
    }

    /// <summary>Makes durable what a client wants to be durable before it hears of it.</summary>
    private ValueTask<NbdError> SettleAsync() =>
        (Request.Flags & NbdCommandFlags.ForceUnitAccess) != 0 && Request.Command != NbdCommand.Flush
            ? WorkAsync(NbdCommand.Flush, default)
            : ValueTask.FromResult(NbdError.None);

    /// <summary>Does something to the device; reads and writes with the start of the buffer's data. Its failures are the client's to hear, not the connection's end.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<NbdError> WorkAsync(NbdCommand command, Extent range)
    {
        try
        {
            await BeginAsync(command, range);
            return NbdError.None;
        }
        catch (Exception failure) when (IsTheDevices(failure))
        {
            return Tell(failure);
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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadChunksAsync()
    {
        const int Header = PieceOffset - ReplyMessages.DataHeaderSize;
        for (uint done = 0; done < Request.Length;)
        {
            int length = Piece(done).Length;
            long offset = (long)Request.Offset + done;
            done += (uint)length;
            NbdError error = await WorkAsync(NbdCommand.Read, new Extent(offset, length));
            if (error != NbdError.None)
            {
                await ReplyAsync(error);
                return;
            }

            ReplyMessages.WriteDataHeader(_buffer.Span[Header..], Request.Cookie, offset, length, isLast: done == Request.Length);
            await SendAsync(_buffer.Slice(Header, ReplyMessages.DataHeaderSize + length));
        }

        if (Request.Length == 0)
        {
            await ReplyAsync(NbdError.None);
        }
    }

    /// <summary>An old client gets one header and then all data: once the header is out, a failure can only end the connection.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadSimplyAsync()
    {
        const int Header = PieceOffset - SimpleReply.Size;
        Memory<byte> piece = Piece(0);
        NbdError error = await WorkAsync(NbdCommand.Read, new Extent((long)Request.Offset, piece.Length));
        if (error != NbdError.None)
        {
            await ReplyAsync(error);
            return;
        }

        SimpleReply.Write(_buffer.Span[Header..], NbdError.None, Request.Cookie);
        await owner.Sending.TakeAsync(Turn);
        try
        {
            await _wire.SendAsync(_buffer.Slice(Header, SimpleReply.Size + piece.Length));
            for (uint done = PieceSize; done < Request.Length; done += PieceSize)
            {
                piece = Piece(done);
                if (await WorkAsync(NbdCommand.Read, new Extent((long)Request.Offset + done, piece.Length)) != NbdError.None)
                {
                    throw new IOException("a read failed in the middle of its answer");
                }

                await _wire.SendAsync(piece);
            }
        }
        finally
        {
            owner.Sending.Release();
        }
    }

    private async ValueTask StatusAsync()
    {
        Extent range = new((long)Request.Offset, Math.Min(Request.Length, MaxStatusRange));
        for (int i = 0; i < owner.Contexts.Count; i++)
        {
            IReadOnlyList<NbdStatus> statuses;
            try
            {
                statuses = await owner.Contexts[i].GetStatusAsync(range, CancellationToken.None);
            }
            catch (Exception failure) when (IsTheDevices(failure))
            {
                await ReplyAsync(Tell(failure));
                return;
            }

            int length = ReplyMessages.WriteStatuses(_buffer.Span, Request, i + 1, statuses, isLast: i == owner.Contexts.Count - 1);
            await SendAsync(_buffer[..length]);
        }
    }

    private ValueTask ReplyAsync(NbdError error) => SendAsync(_buffer[..ReplyMessages.WriteOutcome(_buffer.Span, Request, error, owner.Structured)]);

    /// <summary>Sends one message whole, in turn.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendAsync(ReadOnlyMemory<byte> message)
    {
        await owner.Sending.TakeAsync(Turn);
        try
        {
            await _wire.SendAsync(message);
        }
        finally
        {
            owner.Sending.Release();
        }
    }

    /// <summary>Where the next piece of the command's data lies when so many bytes are done.</summary>
    private Memory<byte> Piece(uint done) => _buffer.Slice(PieceOffset, (int)Math.Min(PieceSize, Request.Length - done));
}
