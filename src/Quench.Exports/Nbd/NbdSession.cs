using System.Net.Sockets;
using Quench.Blocks.Buffers;

namespace Quench.Exports.Nbd;

/// <summary>
/// One client from its first byte to its last: greeting and options, one after the other (Handshake), then commands, many at once (Transmission).
/// It has a thread of its own for all of its life, and in transmission those of its lanes.
/// </summary>
internal sealed partial class NbdSession(Socket connection, NbdServerOptions options, AlignedBufferPool pieces, ServingLanes everywhere) : IDisposable
{
    private const int Choosing = 0;
    private const int Transmitting = 1;
    private const int SentAway = 2;

    private readonly long _began = options.Clock.GetTimestamp();
    private readonly NbdWire _wire = new(connection, options.Clock);
    private volatile Transmission? _transmission; // null before
    private NbdExport? _export;          // null until one is chosen
    private bool _structured;            // whether the client takes structured replies
    private int _phase;                  // Choosing, then one of the others for good: who is first decides

    /// <summary>Why the server has ended it; null when it has not.</summary>
    internal string? CutOffBecause => _wire.CutOffBecause;

    /// <summary>Serves until the client leaves, says nonsense, stalls, or the server stops.</summary>
    /// <exception cref="NbdProtocolException">The client said nonsense.</exception>
    /// <exception cref="IOException">The connection broke, or was cut off.</exception>
    /// <exception cref="SocketException">It had broken before it began.</exception>
    internal void Run()
    {
        if (connection.AddressFamily != AddressFamily.Unix)
        {
            connection.NoDelay = true;
        }

        if (Negotiate() && Interlocked.CompareExchange(ref _phase, Transmitting, Choosing) == Choosing)
        {
            _transmission = new Transmission(_wire, _export!, _structured, _chosen, pieces, everywhere, options.Report);
            _transmission.Run();
        }
    }

    /// <summary>Ends it for good if its client has not chosen an export yet.</summary>
    /// <param name="because">What is reported.</param>
    internal bool TrySendAway(string because)
    {
        if (Interlocked.CompareExchange(ref _phase, SentAway, Choosing) != Choosing)
        {
            return false;
        }

        _wire.CutOff(because);
        return true;
    }

    /// <summary>Holds its client to the limits. Called now and then; never waits.</summary>
    internal void Look()
    {
        if (Volatile.Read(ref _phase) == Transmitting)
        {
            _wire.CutOffIfStalled(options.StallLimit);
            _transmission?.Look();
        }
        else if (options.Clock.GetElapsedTime(_began) > options.HandshakeLimit)
        {
            TrySendAway($"no export was chosen within {options.HandshakeLimit.TotalSeconds:0.###} s");
        }
    }

    /// <summary>Takes no more commands; those in work are answered.</summary>
    internal void Stop()
    {
        if (!TrySendAway("the server stops"))
        {
            _wire.StopReceiving();
        }
    }

    /// <summary>Ends it at once.</summary>
    internal void CutOff(string because) => _wire.CutOff(because);

    /// <inheritdoc/>
    public void Dispose() => _wire.Dispose();
}
