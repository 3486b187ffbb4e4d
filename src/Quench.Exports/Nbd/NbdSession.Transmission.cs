using System.Buffers.Binary;
using System.Text;
using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Nbd.Wire;

namespace Quench.Exports.Nbd;

/// <content>
/// Commands. Up to sixteen lanes take turns at the connection: one receives a command, with its data, into its own buffer, then serves it while the
/// next one receives. A lane is made when all others are busy. So commands run side by side, memory is bounded, and nothing is allocated for one.
/// <code>
/// a lane's buffer   0 …………… 4068          4096 (page-aligned) ………… 4096 + 256 KiB
///                           ├ reply header ┼ data, of a read or a write ┤
/// </code>
/// </content>
internal sealed partial class NbdSession
{
    /// <summary>Bytes of data in a lane's buffer.</summary>
    internal const int PieceSize = 256 * 1024;

    /// <summary>Where the data begin: after room for a reply's header, at a page.</summary>
    internal const int PieceOffset = 4096;

    /// <summary>The longest read or write, in bytes; longer ones go in pieces anyway.</summary>
    internal const int MaxPayload = 32 * 1024 * 1024;

    private const int MaxLanes = 16;
    private const int DataHeaderSize = StructuredReply.Size + 8;
    private const int MaxStatuses = 4096;
    private const long MaxStatusRange = 1L << 30; // of more nothing is said at once: a map of it may be long

    private readonly SemaphoreSlim _receiving = new(1, 1); // whose turn it is at the connection; guards _reader
    private readonly Lock _lanesGate = new();              // guards the one below
    private readonly List<Task> _lanes = [];
    private readonly CancellationTokenSource _stall = new(Timeout.InfiniteTimeSpan, options.Clock); // runs while a client must take or give something; only under _sending, or while receiving data
    private int _waiting; // lanes that wait for their turn
    private volatile bool _ended; // the client has left, or something broke; never false again

    /// <summary>Serves until all lanes have ended. What broke first is thrown then.</summary>
    private async Task TransmitAsync()
    {
        MakeLane();
        Task[] lanes = [];
        for (int known = -1; known != lanes.Length;) // a lane may have made another before it ended
        {
            known = lanes.Length;
            lanes = Lanes();
            await Task.WhenAll(lanes).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(lanes);
    }

    private Task[] Lanes()
    {
        lock (_lanesGate)
        {
            return [.. _lanes];
        }
    }

    private async Task LaneAsync()
    {
        using BufferLease buffer = pieces.Rent();
        try
        {
            while (await ReceiveAsync(buffer) is { } command)
            {
                await ServeAsync(command, buffer);
            }
        }
        catch
        {
            _ended = true;
            await _stream.DisposeAsync(); // whoever waits at the connection, waits in vain
            throw;
        }
    }

    /// <summary>Waits for its turn and takes a command.</summary>
    /// <returns>The command, with a write's data in the buffer; null when there will be none.</returns>
    private async ValueTask<NbdRequest?> ReceiveAsync(BufferLease buffer)
    {
        Interlocked.Increment(ref _waiting);
        await _receiving.WaitAsync(CancellationToken.None);
        Interlocked.Decrement(ref _waiting);
        try
        {
            while (!_ended)
            {
                if (await NextAsync(buffer) is not { } command)
                {
                    _ended = true;
                }
                else if (await TakeDataAsync(command, buffer))
                {
                    if (Volatile.Read(ref _waiting) == 0)
                    {
                        MakeLane();
                    }

                    return command;
                }
            }

            return null;
        }
        finally
        {
            _receiving.Release();
        }
    }

    private void MakeLane()
    {
        lock (_lanesGate)
        {
            if (_lanes.Count < MaxLanes)
            {
                _lanes.Add(Task.Run(LaneAsync));
            }
        }
    }

    private async ValueTask<NbdRequest?> NextAsync(BufferLease buffer)
    {
        Memory<byte> header = buffer.Memory[..NbdRequest.Size];
        try
        {
            if (!await _reader.TryReadAsync(header, stopping))
            {
                return null;
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return null; // what is in work is still answered
        }

        return !NbdRequest.TryRead(header.Span, out NbdRequest request)
            ? throw new NbdProtocolException("no command where one was due")
            : request.Command == NbdCommand.Disconnect ? null : request;
    }

    /// <summary>Takes a write's data.</summary>
    /// <returns>False when the command has been answered already: it was refused, or too long for the buffer and written piece by piece.</returns>
    private async ValueTask<bool> TakeDataAsync(NbdRequest request, BufferLease buffer)
    {
        if (request.Command != NbdCommand.Write)
        {
            return true;
        }

        if (request.Length > MaxPayload)
        {
            throw new NbdProtocolException($"a write of {request.Length} bytes");
        }

        NbdError error = Check(request);
        if (error == NbdError.None && request.Length <= PieceSize)
        {
            await TakeAsync(buffer.Memory.Slice(PieceOffset, (int)request.Length));
            return true;
        }

        for (uint done = 0; done < request.Length;)
        {
            Memory<byte> piece = buffer.Memory.Slice(PieceOffset, (int)Math.Min(PieceSize, request.Length - done));
            await TakeAsync(piece);
            error = error != NbdError.None ? error : await WorkAsync(() => _export!.Device!.WriteAsync((long)request.Offset + done, piece, CancellationToken.None));
            done += (uint)piece.Length;
        }

        await ReplyAsync(request, error == NbdError.None ? await SettleAsync(request) : error, buffer);
        return false;
    }

    /// <summary>Receives data that must come now: whoever announces them and does not send them is cut off.</summary>
    private async ValueTask TakeAsync(Memory<byte> into)
    {
        using CancellationTokenSource limit = new(options.StallLimit, options.Clock);
        await _reader.ReadAsync(into, limit.Token);
    }

    private async ValueTask ServeAsync(NbdRequest request, BufferLease buffer)
    {
        NbdError error = Check(request);
        if (error != NbdError.None)
        {
            await ReplyAsync(request, error, buffer);
        }
        else if (request.Command == NbdCommand.Read)
        {
            await ReadAsync(request, buffer);
        }
        else if (request.Command == NbdCommand.BlockStatus)
        {
            await StatusAsync(request, buffer);
        }
        else
        {
            await ReplyAsync(request, await ChangeAsync(request, buffer), buffer);
        }
    }

    /// <summary>Whether a command may be tried at all. (NBD protocol, "Request types" and "Error values")</summary>
    private NbdError Check(NbdRequest request)
    {
        if ((request.Flags & ~AllowedFlags(request.Command)) != 0)
        {
            return NbdError.Invalid;
        }

        bool changes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (changes && _export!.IsReadOnly)
        {
            return NbdError.NotPermitted;
        }

        if (request.Command == NbdCommand.Flush)
        {
            return request is { Offset: 0, Length: 0 } ? NbdError.None : NbdError.Invalid;
        }

        ulong length = (ulong)_export!.Length;
        if (request.Offset > length || request.Length > length - request.Offset)
        {
            return request.Command is NbdCommand.Write or NbdCommand.WriteZeroes ? NbdError.NoSpace : NbdError.Invalid;
        }

        return request.Command switch
        {
            NbdCommand.Read when request.Length > MaxPayload => NbdError.Overflow,
            NbdCommand.Read when request.Length > PieceSize && (request.Flags & NbdCommandFlags.DontFragment) != 0 => NbdError.Overflow,
            NbdCommand.BlockStatus when _chosen.Count == 0 || request.Length == 0 => NbdError.Invalid,
            NbdCommand.Read or NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes or NbdCommand.BlockStatus => NbdError.None,
            _ => NbdError.Invalid,
        };
    }

    private NbdCommandFlags AllowedFlags(NbdCommand command) => command switch
    {
        NbdCommand.Read => _structured ? NbdCommandFlags.DontFragment | NbdCommandFlags.ForceUnitAccess : NbdCommandFlags.ForceUnitAccess,
        NbdCommand.WriteZeroes => NbdCommandFlags.ForceUnitAccess | NbdCommandFlags.NoHole,
        NbdCommand.BlockStatus => NbdCommandFlags.RequestOne | NbdCommandFlags.ForceUnitAccess,
        _ => NbdCommandFlags.ForceUnitAccess, // it means nothing where nothing is written, and is allowed
    };

    private async ValueTask<NbdError> ChangeAsync(NbdRequest request, BufferLease buffer)
    {
        long offset = (long)request.Offset;
        Extent range = new(offset, request.Length);
        NbdError error = request.Command switch
        {
            NbdCommand.Write => await WorkAsync(() => _export!.Device!.WriteAsync(offset, buffer.Memory.Slice(PieceOffset, (int)request.Length), CancellationToken.None)),
            NbdCommand.WriteZeroes when (request.Flags & NbdCommandFlags.NoHole) != 0 => await WriteZerosAsync(range, buffer),
            NbdCommand.WriteZeroes => await WorkAsync(() => _export!.Device!.ZeroAsync(range, CancellationToken.None)),
            NbdCommand.Trim => await WorkAsync(() => _export!.Device!.DiscardAsync(range, CancellationToken.None)),
            _ => await WorkAsync(FlushAsync),
        };
        return error == NbdError.None ? await SettleAsync(request) : error;
    }

    /// <summary>Zeros that take up room: written like any data.</summary>
    private async ValueTask<NbdError> WriteZerosAsync(Extent range, BufferLease buffer)
    {
        Memory<byte> zeros = buffer.Memory.Slice(PieceOffset, PieceSize);
        zeros.Span.Clear();
        NbdError error = NbdError.None;
        for (long done = 0; done < range.Length && error == NbdError.None;)
        {
            Memory<byte> piece = zeros[..(int)Math.Min(PieceSize, range.Length - done)];
            long at = range.Offset + done;
            error = await WorkAsync(() => _export!.Device!.WriteAsync(at, piece, CancellationToken.None));
            done += piece.Length;
        }

        return error;
    }

    /// <summary>Makes durable what a client wants to be durable before it hears of it.</summary>
    private async ValueTask<NbdError> SettleAsync(NbdRequest request) =>
        (request.Flags & NbdCommandFlags.ForceUnitAccess) != 0 && request.Command != NbdCommand.Flush ? await WorkAsync(FlushAsync) : NbdError.None;

    private ValueTask FlushAsync() => _export!.Device?.FlushAsync(CancellationToken.None) ?? ValueTask.CompletedTask;

    /// <summary>Does something to the device. Its failures are the client's to hear, not the connection's end.</summary>
    private async ValueTask<NbdError> WorkAsync(Func<ValueTask> work)
    {
        try
        {
            await work();
            return NbdError.None;
        }
        catch (Exception failure) when (failure is IOException or QuenchException or UnauthorizedAccessException)
        {
            options.Report($"export '{_export!.Name}': {failure.Message}");
            return NbdError.InputOutput;
        }
        catch (ObjectDisposedException)
        {
            return NbdError.Shutdown;
        }
    }

    private async ValueTask ReadAsync(NbdRequest request, BufferLease buffer)
    {
        if (_structured)
        {
            await ReadChunksAsync(request, buffer);
        }
        else
        {
            await ReadSimplyAsync(request, buffer);
        }
    }

    private async ValueTask ReadChunksAsync(NbdRequest request, BufferLease buffer)
    {
        const int Header = PieceOffset - DataHeaderSize;
        for (uint done = 0; done < request.Length;)
        {
            Memory<byte> piece = buffer.Memory.Slice(PieceOffset, (int)Math.Min(PieceSize, request.Length - done));
            long offset = (long)request.Offset + done;
            done += (uint)piece.Length;
            NbdError error = await WorkAsync(() => _export!.Reader.ReadAsync(offset, piece, CancellationToken.None));
            if (error != NbdError.None)
            {
                await ReplyAsync(request, error, buffer);
                return;
            }

            Span<byte> header = buffer.Span.Slice(Header, DataHeaderSize);
            StructuredReply.Write(header, NbdChunk.OffsetData, isLast: done == request.Length, request.Cookie, piece.Length + 8);
            BinaryPrimitives.WriteInt64BigEndian(header[StructuredReply.Size..], offset);
            await SendAsync(buffer.Memory.Slice(Header, DataHeaderSize + piece.Length));
        }

        if (request.Length == 0)
        {
            await ReplyAsync(request, NbdError.None, buffer);
        }
    }

    /// <summary>An old client gets one header and then all data: once the header is out, a failure can only end the connection.</summary>
    private async ValueTask ReadSimplyAsync(NbdRequest request, BufferLease buffer)
    {
        bool sending = false;
        try
        {
            for (uint done = 0; ;)
            {
                Memory<byte> piece = buffer.Memory.Slice(PieceOffset, (int)Math.Min(PieceSize, request.Length - done));
                long offset = (long)request.Offset + done;
                NbdError error = await WorkAsync(() => _export!.Reader.ReadAsync(offset, piece, CancellationToken.None));
                if (error != NbdError.None && sending)
                {
                    throw new IOException("a read failed in the middle of its answer");
                }

                if (error != NbdError.None)
                {
                    await ReplyAsync(request, error, buffer);
                    return;
                }

                int header = sending ? 0 : SimpleReply.Size;
                SimpleReply.Write(buffer.Span.Slice(PieceOffset - SimpleReply.Size), NbdError.None, request.Cookie);
                if (!sending)
                {
                    await _sending.WaitAsync(CancellationToken.None);
                    sending = true;
                }

                await PutAsync(buffer.Memory.Slice(PieceOffset - header, header + piece.Length));
                done += (uint)piece.Length;
                if (done == request.Length)
                {
                    return;
                }
            }
        }
        finally
        {
            if (sending)
            {
                _sending.Release();
            }
        }
    }

    private async ValueTask StatusAsync(NbdRequest request, BufferLease buffer)
    {
        bool one = (request.Flags & NbdCommandFlags.RequestOne) != 0;
        Extent range = new((long)request.Offset, Math.Min(request.Length, MaxStatusRange));
        for (int i = 0; i < _chosen.Count; i++)
        {
            IReadOnlyList<NbdStatus> statuses = [];
            INbdContext context = _chosen[i];
            NbdError error = await WorkAsync(async () => statuses = await context.GetStatusAsync(range, CancellationToken.None));
            if (error != NbdError.None)
            {
                await ReplyAsync(request, error, buffer);
                return;
            }

            await SendAsync(DescribeStatuses(buffer, request.Cookie, i + 1, statuses, one ? 1 : MaxStatuses, isLast: i == _chosen.Count - 1));
        }
    }

    private static ReadOnlyMemory<byte> DescribeStatuses(
        BufferLease buffer, ulong cookie, int context, IReadOnlyList<NbdStatus> statuses, int most, bool isLast)
    {
        int count = Math.Min(statuses.Count, most);
        int length = 4 + (count * 8);
        Span<byte> message = buffer.Span[..(StructuredReply.Size + length)];
        StructuredReply.Write(message, NbdChunk.BlockStatus, isLast, cookie, length);
        Span<byte> body = message[StructuredReply.Size..];
        BinaryPrimitives.WriteInt32BigEndian(body, context);
        for (int i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(body[(4 + (i * 8))..], (uint)statuses[i].Length);
            BinaryPrimitives.WriteUInt32BigEndian(body[(8 + (i * 8))..], statuses[i].Flags);
        }

        return buffer.Memory[..message.Length];
    }

    /// <summary>Answers without data. Old clients hear a number; the others, when something failed, a word as well.</summary>
    private ValueTask ReplyAsync(NbdRequest request, NbdError error, BufferLease buffer)
    {
        bool chunk = _structured && (error != NbdError.None || request.Command is NbdCommand.Read or NbdCommand.BlockStatus);
        if (!chunk)
        {
            SimpleReply.Write(buffer.Span, error, request.Cookie);
            return SendAsync(buffer.Memory[..SimpleReply.Size]);
        }

        if (error == NbdError.None)
        {
            StructuredReply.Write(buffer.Span, NbdChunk.None, isLast: true, request.Cookie, 0);
            return SendAsync(buffer.Memory[..StructuredReply.Size]);
        }

        const int Fixed = 6;
        int text = Encoding.UTF8.GetBytes(error.ToString(), buffer.Span[(StructuredReply.Size + Fixed)..]);
        StructuredReply.Write(buffer.Span, NbdChunk.Error, isLast: true, request.Cookie, Fixed + text);
        BinaryPrimitives.WriteUInt32BigEndian(buffer.Span[StructuredReply.Size..], (uint)error);
        BinaryPrimitives.WriteUInt16BigEndian(buffer.Span[(StructuredReply.Size + 4)..], (ushort)text);
        return SendAsync(buffer.Memory[..(StructuredReply.Size + Fixed + text)]);
    }

    /// <summary>Sends one message whole.</summary>
    private async ValueTask SendAsync(ReadOnlyMemory<byte> message)
    {
        await _sending.WaitAsync(CancellationToken.None);
        try
        {
            await PutAsync(message);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>Sends, holding <see cref="_sending"/>. A client that does not take it in time is cut off: it holds a lane and its memory.</summary>
    private async ValueTask PutAsync(ReadOnlyMemory<byte> message)
    {
        _stall.CancelAfter(options.StallLimit);
        await _stream.WriteAsync(message, _stall.Token);
        _stall.CancelAfter(Timeout.InfiniteTimeSpan);
    }
}
