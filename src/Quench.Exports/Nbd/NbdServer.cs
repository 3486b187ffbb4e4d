using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Quench.Blocks.Buffers;

namespace Quench.Exports.Nbd;

/// <summary>
/// Serves exports to NBD clients over a Unix socket or TCP: fixed newstyle with LIST, INFO and GO, structured replies, BLOCK_STATUS, FUA, flush, trim,
/// write-zeroes, several connections to one export. (the NBD protocol, doc/proto.md of the NetworkBlockDevice project)
/// </summary>
/// <remarks>
/// Thread-safe. A client can neither reach another export than its own nor a byte outside it, nor hold more than 4 MiB (and 1 MiB of answers in the kernel) or stop the others by standing still.
/// Disposing stops listening, lets commands in work end, and closes every connection; the exports stay open.
/// </remarks>
public sealed class NbdServer : IAsyncDisposable
{
    private const int Backlog = 512;
    private const int LooksWithinLimit = 4;

    // A Unix socket's usual 208 KiB are less than one large answer: whoever sends it would wait for the client each time (docs/performance.md). TCP sizes its own.
    private const int UnixSendBuffer = 1 << 20;

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100); // at least so often

    private readonly NbdServerOptions _options;
    private readonly Socket _listener;
    private readonly string? _path; // of the Unix socket, removed at the end
    private readonly AlignedBufferPool _pieces = new(TransmissionLane.PieceOffset + TransmissionLane.PieceSize, maxRetained: 64);
    private readonly ServingLanes _serving = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _accepting;
    private readonly ITimer _looking; // at the clients, a few times within the shortest of their limits

    private readonly Lock _gate = new(); // guards the one below
    private readonly List<Connection> _connections = []; // oldest first

    private NbdServer(Socket listener, string? path, NbdServerOptions options)
    {
        (_listener, _path, _options) = (listener, path, options);
        EndPoint = listener.LocalEndPoint!;
        _accepting = Task.Run(AcceptAsync);
        TimeSpan shortest = options.StallLimit < options.HandshakeLimit ? options.StallLimit : options.HandshakeLimit;
        TimeSpan each = shortest / LooksWithinLimit < s_look ? shortest / LooksWithinLimit : s_look;
        _looking = options.Clock.CreateTimer(static server => ((NbdServer)server!).Look(), this, each, each);
    }

    /// <summary>Where it listens; for TCP with the port that it got.</summary>
    public EndPoint EndPoint { get; }

    /// <summary>Clients now.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_gate)
            {
                return _connections.Count;
            }
        }
    }

    /// <summary>Begins to listen.</summary>
    /// <param name="endPoint">A <see cref="UnixDomainSocketEndPoint"/>, whose file is made with mode 0600, or an <see cref="IPEndPoint"/>.</param>
    /// <param name="options">What to serve.</param>
    /// <exception cref="SocketException">The address is in use, or can't be bound.</exception>
    public static NbdServer Listen(EndPoint endPoint, NbdServerOptions options)
    {
        if (options.Exports.Select(export => export.Name).Distinct(StringComparer.Ordinal).Count() != options.Exports.Count)
        {
            throw new ArgumentException("two exports have one name", nameof(options));
        }

        Socket listener = new(endPoint.AddressFamily, SocketType.Stream, endPoint is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified);
        try
        {
            string? path = endPoint is UnixDomainSocketEndPoint ? endPoint.ToString() : null;
            listener.Bind(endPoint);
            if (path is not null)
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite); // before anybody can connect: nobody listens yet
            }

            listener.Listen(Backlog);
            return new NbdServer(listener, path, options);
        }
        catch
        {
            listener.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_stopping.IsCancellationRequested)
        {
            return;
        }

        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await EndSessionsAsync();
        await _looking.DisposeAsync();
        if (_path is not null)
        {
            File.Delete(_path);
        }

        _pieces.Dispose();
        _stopping.Dispose();
    }

    private async Task EndSessionsAsync()
    {
        Connection[] left;
        lock (_gate)
        {
            left = [.. _connections];
        }

        foreach (Connection connection in left)
        {
            connection.Session.Stop();
        }

        Task all = Task.WhenAll(left.Select(connection => connection.Ended.Task));
        try
        {
            await all.WaitAsync(_options.DrainLimit, _options.Clock);
        }
        catch (TimeoutException)
        {
            foreach (Connection connection in left)
            {
                connection.Session.CutOff("the server stops, and what was in work did not end in time");
            }

            await all;
        }
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket connection;
            try
            {
                connection = await _listener.AcceptAsync(_stopping.Token);
            }
            catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException || _stopping.IsCancellationRequested)
            {
                return;
            }
            catch (SocketException failure)
            {
                _options.Report($"a connection could not be accepted: {failure.Message}");
                continue;
            }

            Begin(connection);
        }
    }

    private void Begin(Socket socket)
    {
        if (_path is not null)
        {
            socket.SendBufferSize = UnixSendBuffer;
        }

        Connection connection = new(new NbdSession(socket, _options, _pieces, _serving));
        lock (_gate)
        {
            if (_connections.Count >= _options.MaxConnections && !TryMakeRoom())
            {
                _options.Report($"a connection was refused: there are {_connections.Count}");
                connection.Session.Dispose();
                return;
            }

            _connections.Add(connection);
        }

        try
        {
            new Thread(() => Serve(connection)) { IsBackground = true, Name = "nbd session" }.Start();
        }
        catch (OutOfMemoryException)
        {
            _options.Report("a connection was refused: the system has no thread for it");
            connection.Session.Dispose();
            End(connection);
        }
    }

    /// <summary>Ends the connection that has been longest without choosing an export: so those that never will can't keep others out.</summary>
    private bool TryMakeRoom()
    {
        Connection? oldest = _connections.Find(connection => connection.Session.TrySendAway("others came while it chose no export"));
        return oldest is not null && _connections.Remove(oldest);
    }

    /// <summary>Holds every client to the limits.</summary>
    private void Look()
    {
        lock (_gate)
        {
            foreach (Connection connection in _connections)
            {
                connection.Session.Look();
            }
        }
    }

    /// <summary>Serves one client. Whatever ends it ends only it.</summary>
    private void Serve(Connection connection)
    {
        string? because = null;
        try
        {
            using NbdSession session = connection.Session;
            session.Run();
        }
        catch (Exception failure) when (failure is NbdProtocolException or IOException or SocketException or ObjectDisposedException
            or AuthenticationException or InvalidOperationException)
        {
            because = failure.Message;
        }
        finally
        {
            if ((connection.Session.CutOffBecause ?? because) is { } told)
            {
                _options.Report($"a connection ended: {told}");
            }

            End(connection);
        }
    }

    private void End(Connection connection)
    {
        lock (_gate)
        {
            _connections.Remove(connection);
        }

        connection.Ended.SetResult();
    }

    private sealed record Connection(NbdSession Session)
    {
        internal TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
