using System.Runtime.CompilerServices;

namespace Quench.Exports.Nbd;

/// <summary>
/// A client's connection in transmission: whole messages in, whole messages out, each within the time that a client may stand still. One receives and one sends
/// at a time: both are the callers' to see to.
/// </summary>
internal sealed class NbdWire(Stream stream, WireReader reader, NbdServerOptions options, CancellationToken stopping) : IDisposable
{
    private readonly CancellationTokenSource _receiveLimit = new(Timeout.InfiniteTimeSpan, options.Clock); // runs while announced data are due
    private readonly CancellationTokenSource _sendLimit = new(Timeout.InfiniteTimeSpan, options.Clock);    // runs while an answer waits to be taken

    /// <summary>Waits for the next message's first part, for as long as it takes.</summary>
    /// <returns>False when there is none: the client has left, or the server stops.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    internal async ValueTask<bool> TryReceiveAsync(Memory<byte> into)
    {
        try
        {
            return await reader.TryReadAsync(into, stopping);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return false; // what is in work is still answered
        }
    }

    /// <summary>Receives data that must come now: whoever announces them and does not send them is cut off.</summary>
    internal ValueTask ReceiveAsync(Memory<byte> into) => WithinLimitAsync(reader.ReadAsync(into, _receiveLimit.Token), _receiveLimit);

    /// <summary>Sends. A client that does not take it in time is cut off: it holds a lane and its memory.</summary>
    internal ValueTask SendAsync(ReadOnlyMemory<byte> message) => WithinLimitAsync(stream.WriteAsync(message, _sendLimit.Token), _sendLimit);

    /// <summary>Ends the connection: whoever waits at it, waits in vain.</summary>
    internal ValueTask BreakAsync() => stream.DisposeAsync();

    /// <inheritdoc/>
    public void Dispose()
    {
        _receiveLimit.Dispose();
        _sendLimit.Dispose();
    }

    /// <summary>As a rule it is done already, and the clock is left alone.</summary>
    private ValueTask WithinLimitAsync(ValueTask transfer, CancellationTokenSource limit) => transfer.IsCompletedSuccessfully ? transfer : AwaitAsync(transfer, limit);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AwaitAsync(ValueTask transfer, CancellationTokenSource limit)
    {
        limit.CancelAfter(options.StallLimit);
        await transfer;
        limit.CancelAfter(Timeout.InfiniteTimeSpan);
    }
}
