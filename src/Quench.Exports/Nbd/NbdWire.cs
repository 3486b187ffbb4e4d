using System.Net.Security;
using System.Net.Sockets;

namespace Quench.Exports.Nbd;

/// <summary>
/// A client's connection: whole messages in, whole messages out, by calls that block. One receives and one sends at a time: both are the callers' to see to.
/// The rest may be called by anybody, and never waits.
/// </summary>
/// <remarks>
/// How long a client may stand still is nobody's clock here: it is noted since when something is due, and whoever looks after all connections looks
/// (<see cref="CutOffIfStalled"/>). So a transfer costs no timer. A connection ends for those who wait at it by being shut down, never by being closed
/// under their hands.
/// </remarks>
internal sealed class NbdWire : IDisposable
{
    private const long Nothing = 0;

    private readonly Socket _socket;
    private readonly TimeProvider _clock;
    private Stream _stream; // encrypted from StartTls on
    private WireReader _reader;
    private long _receivingSince = Nothing; // announced data are due
    private long _sendingSince = Nothing;   // an answer waits to be taken
    private volatile bool _stopping;
    private volatile string? _cutOff;

    /// <summary>Takes a connection over.</summary>
    /// <param name="socket">Never used by an asynchronous call, so that it blocks; closed with this.</param>
    /// <param name="clock">Where time comes from.</param>
    internal NbdWire(Socket socket, TimeProvider clock)
    {
        (_socket, _clock) = (socket, clock);
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new WireReader(_stream);
    }

    /// <summary>Whether what is sent is encrypted.</summary>
    internal bool IsEncrypted => _stream is SslStream;

    /// <summary>Whether something has come that nobody has asked for, as far as is known without asking the system. For who receives.</summary>
    internal bool HasMore => _reader.HasMore;

    /// <summary>Whether something has come that nobody has asked for. Encryption hides that: then it may be so. For who receives, or would.</summary>
    internal bool HasWaiting => _reader.HasMore || IsEncrypted || _socket.Available > 0;

    /// <summary>Why we have ended the connection; null when we have not.</summary>
    internal string? CutOffBecause => _cutOff;

    /// <summary>Waits for the next message's first part, for as long as it takes.</summary>
    /// <returns>False when there is none: the client has left, or receiving has been stopped.</returns>
    internal bool TryReceive(Span<byte> into)
    {
        try
        {
            return !_stopping && _reader.TryRead(into);
        }
        catch (IOException) when (_stopping)
        {
            return false; // encryption has no quiet end
        }
    }

    /// <summary>Receives data that must come now: whoever announces them and does not send them is cut off.</summary>
    internal void Receive(Span<byte> into)
    {
        Volatile.Write(ref _receivingSince, _clock.GetTimestamp());
        _reader.Read(into);
        Volatile.Write(ref _receivingSince, Nothing);
    }

    /// <summary>Sends. A client that does not take it in time is cut off: it holds a lane and its memory.</summary>
    internal void Send(ReadOnlySpan<byte> message)
    {
        Volatile.Write(ref _sendingSince, _clock.GetTimestamp());
        _stream.Write(message);
        Volatile.Write(ref _sendingSince, Nothing);
    }

    /// <summary>Encrypts the connection. What a client sent in the clear behind its request is nobody's: it may come from somebody in between.</summary>
    internal void StartTls(NbdTls tls)
    {
        if (_reader.HasMore)
        {
            throw new NbdProtocolException("data in the clear behind NBD_OPT_STARTTLS");
        }

        SslStream encrypted = new(_stream, leaveInnerStreamOpen: false);
        _stream = encrypted;
        encrypted.AuthenticateAsServer(NbdTlsOptions.For(tls));
        _reader = new WireReader(encrypted);
    }

    /// <summary>Cuts off a client that has stood still for longer than the limit in the middle of something.</summary>
    internal void CutOffIfStalled(TimeSpan limit)
    {
        if (IsOver(ref _receivingSince, limit))
        {
            CutOff($"data that were announced did not come within {limit.TotalSeconds:0.###} s");
        }
        else if (IsOver(ref _sendingSince, limit))
        {
            CutOff($"an answer was not taken within {limit.TotalSeconds:0.###} s");
        }
    }

    /// <summary>Ends the connection: whoever waits at it, waits in vain.</summary>
    internal void CutOff(string because)
    {
        _cutOff ??= because;
        ShutDown(SocketShutdown.Both);
    }

    /// <summary>Receives no more commands; answers still go out.</summary>
    internal void StopReceiving()
    {
        _stopping = true;
        ShutDown(SocketShutdown.Receive);
    }

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private bool IsOver(ref long since, TimeSpan limit)
    {
        long began = Volatile.Read(ref since);
        return began != Nothing && _clock.GetElapsedTime(began) > limit;
    }

    private void ShutDown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            // The client has gone already, or its session has ended: nobody waits there.
        }
    }
}
