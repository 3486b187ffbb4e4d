using System.Net.Sockets;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Remote;

/// <summary>The way to a writer that runs all the time and listens on a Unix socket. It is spoken to only if root, or the user that we run as, listens there.</summary>
/// <param name="path">The socket.</param>
internal sealed class SocketConnection(string path) : ILineConnection
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    public string Name => path;

    public async Task OpenAsync(Func<ReadOnlyMemory<byte>, bool> takes, Action<string> lost, CancellationToken cancellationToken)
    {
        try
        {
            await _socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
        }
        catch (SocketException failure)
        {
            throw new WriterException(WriterError.NotResponding, $"nobody answers at {path}: {failure.Message}", failure);
        }

        uint user = PeerCredentials.UserOf(_socket);
        if (user != 0 && user != ProcessControl.User)
        {
            throw new WriterException(WriterError.NonRetryable, $"user {user} listens at {path}, and only root is believed");
        }

        _ = ReadAsync(takes, lost);
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken)..];
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            throw new IOException(failure.Message, failure);
        }
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task ReadAsync(Func<ReadOnlyMemory<byte>, bool> takes, Action<string> lost)
    {
        byte[] buffer = new byte[16 * 1024];
        try
        {
            while (true)
            {
                int count = await _socket.ReceiveAsync(buffer, SocketFlags.None);
                if (count == 0)
                {
                    lost("it hung up");
                    return;
                }

                if (!takes(buffer.AsMemory(0, count)))
                {
                    _socket.Dispose();
                    return;
                }
            }
        }
        catch (Exception failure) when (failure is SocketException or ObjectDisposedException)
        {
            lost($"the connection broke: {failure.Message}");
        }
    }
}
