using System.Net.Security;
using Quench.Blocks.Buffers;

namespace Quench.Exports.Nbd;

/// <summary>
/// One client from its first byte to its last: greeting and options, one after the other (Handshake), then commands, many at once (Transmission).
/// </summary>
internal sealed partial class NbdSession(Stream connection, NbdServerOptions options, AlignedBufferPool pieces, CancellationToken stopping) : IAsyncDisposable
{
    private const int Choosing = 0;
    private const int Transmitting = 1;
    private const int SentAway = 2;

    private Stream _stream = connection; // encrypted from NBD_OPT_STARTTLS on
    private WireReader _reader = new(connection);
    private NbdExport? _export;          // null until one is chosen
    private bool _structured;            // whether the client takes structured replies
    private int _phase;                  // Choosing, then one of the others for good: who is first decides

    /// <summary>Serves until the client leaves, says nonsense, stalls, or the server stops.</summary>
    /// <exception cref="NbdProtocolException">The client said nonsense.</exception>
    /// <exception cref="OperationCanceledException">It took too long, or the server stopped.</exception>
    /// <exception cref="IOException">The connection broke.</exception>
    internal async Task RunAsync()
    {
        if (await GreetWithinLimitAsync() && Interlocked.CompareExchange(ref _phase, Transmitting, Choosing) == Choosing)
        {
            using NbdWire wire = new(_stream, _reader, options, stopping);
            await new Transmission(wire, _export!, _structured, _chosen, pieces, options.Report).RunAsync();
        }
    }

    /// <summary>Ends it for good if its client has not chosen an export yet; the caller closes the connection then.</summary>
    internal bool TrySendAway() => Interlocked.CompareExchange(ref _phase, SentAway, Choosing) == Choosing;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private async Task<bool> GreetWithinLimitAsync()
    {
        using CancellationTokenSource limit = new(options.HandshakeLimit, options.Clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stopping);
        return await NegotiateAsync(either.Token);
    }

    /// <summary>Encrypts the connection. What a client sent in the clear behind its request is nobody's: it may come from somebody in between.</summary>
    private async Task StartTlsAsync(NbdTls tls, CancellationToken cancellationToken)
    {
        if (_reader.HasMore)
        {
            throw new NbdProtocolException("data in the clear behind NBD_OPT_STARTTLS");
        }

        SslStream encrypted = new(_stream, leaveInnerStreamOpen: false);
        _stream = encrypted;
        await encrypted.AuthenticateAsServerAsync(NbdTlsOptions.For(tls), cancellationToken);
        _reader = new WireReader(encrypted);
        _structured = false; // nothing that was agreed in the clear holds
        _chosen = [];
    }
}
