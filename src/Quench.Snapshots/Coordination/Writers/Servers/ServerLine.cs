using System.Net;
using System.Net.Sockets;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Writers.Servers;

/// <summary>
/// A connection to a server of this machine, read piece by piece. Disposing it from another thread ends whatever waits on it, and with the connection whatever the server held for it.
/// </summary>
/// <remarks>One conversation at a time. After a call that failed or was cancelled only disposing is left: nobody knows where the conversation is.</remarks>
internal sealed class ServerLine(Stream stream) : IDisposable
{
    /// <summary>The longest piece that is taken from a server; ours are a few hundred bytes.</summary>
    internal const int LongestPiece = 1 << 20;

    private byte[] _buffer = new byte[4096];
    private int _start; // [_start, _end) of the buffer has been received and not been taken
    private int _end;

    /// <summary>Connects.</summary>
    /// <param name="where">A Unix socket, or a port of this machine.</param>
    /// <param name="asUser">The user that the server shall see; null for our own. Root only.</param>
    /// <param name="cancellationToken">The deadline.</param>
    /// <exception cref="SocketException">Nobody answers there.</exception>
    /// <exception cref="LinuxErrorException">The same, as another user.</exception>
    internal static async ValueTask<ServerLine> ConnectAsync(EndPoint where, uint? asUser, CancellationToken cancellationToken)
    {
        if (asUser is { } user && where is UnixDomainSocketEndPoint local) // elsewhere a server does not see who we are
        {
            return new ServerLine(new NetworkStream(await PeerIdentity.ConnectAsync(user, local, cancellationToken), ownsSocket: true));
        }

        Socket socket = new(where.AddressFamily, SocketType.Stream, where is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(where, cancellationToken);
            return new ServerLine(new NetworkStream(socket, ownsSocket: true));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    internal ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken) => stream.WriteAsync(message, cancellationToken);

    /// <summary>Takes exactly so many bytes.</summary>
    /// <returns>Lent until the next call.</returns>
    /// <exception cref="ProtocolException">The server has hung up, or wants to send more than it may.</exception>
    internal async ValueTask<ReadOnlyMemory<byte>> TakeAsync(int count, CancellationToken cancellationToken)
    {
        if (count is < 0 or > LongestPiece)
        {
            throw new ProtocolException($"the server announced a message of {count} bytes");
        }

        while (_end - _start < count)
        {
            await ReceiveAsync(count, cancellationToken);
        }

        _start += count;
        return _buffer.AsMemory(_start - count, count);
    }

    /// <summary>Takes what comes before the next carriage return and line feed, and these too.</summary>
    /// <returns>The line without its end. Lent until the next call.</returns>
    /// <exception cref="ProtocolException">The server has hung up, or the line does not end.</exception>
    internal async ValueTask<ReadOnlyMemory<byte>> TakeLineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            int length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8);
            if (length >= 0)
            {
                _start += length + 2;
                return _buffer.AsMemory(_start - length - 2, length);
            }

            int wanted = _end - _start + 1;
            if (wanted > LongestPiece)
            {
                throw new ProtocolException("the server's line does not end");
            }

            await ReceiveAsync(wanted, cancellationToken);
        }
    }

    /// <summary>Sends a last word, whatever else is under way, and disposes. The server reads it before it sees the end.</summary>
    internal void DisposeWith(ReadOnlySpan<byte> lastWord)
    {
        try
        {
            stream.Write(lastWord);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            // The connection is gone already: nobody is there to be told.
        }

        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    /// <summary>Receives at least one byte, into a buffer that has room for a piece of that length.</summary>
    private async ValueTask ReceiveAsync(int pieceLength, CancellationToken cancellationToken)
    {
        byte[] roomy = _buffer.Length >= pieceLength ? _buffer : new byte[Math.Max(pieceLength, 2 * _buffer.Length)];
        if (roomy != _buffer || _buffer.Length - _start < pieceLength)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(roomy);
            (_buffer, _start, _end) = (roomy, 0, _end - _start);
        }

        int count = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken);
        if (count == 0)
        {
            throw new ProtocolException("the server has hung up");
        }

        _end += count;
    }
}
