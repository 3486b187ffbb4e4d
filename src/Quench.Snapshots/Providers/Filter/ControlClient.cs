using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Quench.Blocks;
using Quench.Snapshots.Providers.Filter.Supervision;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>A conversation with a worker. Calls are synchronous, because one of them is made while a file system is frozen. One call at a time.</summary>
internal sealed class ControlClient : IDisposable
{
    /// <summary>The code of a conversation that has ended because its worker did.</summary>
    internal const string GoneCode = "SNAP-131";

    private const int SocketLevel = 1;      // SOL_SOCKET
    private const int PeerCredentials = 17; // SO_PEERCRED, struct ucred: process, user, group (unix(7))

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_betweenWorkers = TimeSpan.FromSeconds(2); // a takeover is done by then; without one it is what a dead volume costs
    private static readonly TimeSpan s_betweenKnocks = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_glance = TimeSpan.FromMilliseconds(500); // how often a silent worker is looked at

    private readonly Lock _gate = new(); // one conversation: guards the stream and its reader
    private readonly NetworkStream _stream;
    private readonly StreamReader _reader;
    private readonly string _name;
    private readonly Socket _socket;
    private readonly int _worker; // who listened when we knocked

    private ControlClient(string name, Socket socket)
    {
        _name = name;
        _socket = socket;
        Span<int> credentials = stackalloc int[3];
        socket.GetRawSocketOption(SocketLevel, PeerCredentials, MemoryMarshal.AsBytes(credentials));
        _worker = credentials[0];
        socket.ReceiveTimeout = (int)s_patience.TotalMilliseconds;
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = new StreamReader(_stream, Encoding.UTF8);
    }

    /// <summary>Knocks at a worker's door.</summary>
    /// <returns>Null when nobody answers there.</returns>
    internal static ControlClient? TryConnect(FilterDirectory directory)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(directory.Socket));
            return new ControlClient(directory.Name, socket);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Knocks at a worker's door, where one must answer. Between two workers nobody does for some tens of milliseconds, so it is knocked for a while.</summary>
    /// <exception cref="QuenchException">SNAP-131: nobody does.</exception>
    internal static ControlClient Connect(string name)
    {
        long since = Stopwatch.GetTimestamp();
        using ManualResetEventSlim never = new(); // a door that opens makes no sound
        while (true)
        {
            if (TryConnect(FilterDirectory.For(name)) is { } client)
            {
                return client;
            }

            if (Stopwatch.GetElapsedTime(since) > s_betweenWorkers)
            {
                throw new QuenchException("SNAP-131", $"the worker of volume {name} does not answer", $"detach {name} and attach it again");
            }

            never.Wait(s_betweenKnocks);
        }
    }

    /// <summary>Asks, and waits for the answer.</summary>
    /// <exception cref="QuenchException">The worker's own failure, or SNAP-131: it is gone.</exception>
    internal ControlReply Ask(ControlRequest request)
    {
        string? line;
        lock (_gate)
        {
            try
            {
                _stream.Write(Encode(request));
                Wait();
                line = _reader.ReadLine();
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                throw Gone(failure); // disposed: a snapshot that took too long was given up from another thread
            }
        }

        return JsonSerializer.Deserialize(line ?? throw Gone(null), ControlJson.Default.ControlReply)!.Demand();
    }

    /// <summary>Asks, and waits as long as it takes. For a conversation in which nothing else is asked.</summary>
    /// <exception cref="QuenchException">The worker's own failure, or SNAP-131: it is gone.</exception>
    internal async Task<ControlReply> AskAsync(ControlRequest request, CancellationToken cancellationToken)
    {
        string? line;
        try
        {
            await _stream.WriteAsync(Encode(request), cancellationToken);
            Task<string?> answer = _reader.ReadLineAsync(cancellationToken).AsTask();
            while (!IsDying() && await Task.WhenAny(answer, Task.Delay(s_glance, CancellationToken.None)) != answer)
            {
                // Not yet.
            }

            line = answer.IsCompleted ? await answer : throw Gone(null);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            throw Gone(failure);
        }

        return JsonSerializer.Deserialize(line ?? throw Gone(null), ControlJson.Default.ControlReply)!.Demand();
    }

    /// <summary>Hangs up; the worker lets go of whatever this conversation held.</summary>
    public void Dispose()
    {
        _reader.Dispose();
        _stream.Dispose();
    }

    /// <summary>Waits for an answer as long as the worker may give one.</summary>
    private void Wait()
    {
        long since = Stopwatch.GetTimestamp();
        while (!_socket.Poll(s_glance, SelectMode.SelectRead) && Stopwatch.GetElapsedTime(since) < s_patience)
        {
            if (IsDying())
            {
                throw Gone(null);
            }
        }
    }

    /// <summary>A worker that can't end keeps the conversation open, and will not say anything more.</summary>
    private bool IsDying() => WorkerRemains.HasBegunToEnd(_worker);

    private static byte[] Encode(ControlRequest request) => [.. JsonSerializer.SerializeToUtf8Bytes(request, ControlJson.Default.ControlRequest), (byte)'\n'];

    private QuenchException Gone(Exception? cause) => new(
        GoneCode, $"the worker of volume {_name} has ended, and what this conversation held with it", $"`quench volumes` shows whether another one serves {_name} and why; try again then", cause)
    {
        CanRetry = true,
    };
}
