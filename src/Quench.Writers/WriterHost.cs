using System.Net.Sockets;

namespace Quench.Writers;

/// <summary>Runs a writer: answers what a backup asks, and lets go by itself when the limit has passed or nobody asks any more. Thread-safe; a writer serves one conversation at a time.</summary>
public static class WriterHost
{
    private const string SocketOption = "--socket";
    private const int Waiting = 8;

    /// <summary>
    /// Does what the command line says: nothing is a program that a backup has started, with its conversation on the standard input and output; `--socket PATH` is a service that listens there until it is
    /// stopped. What the application prints to its standard output goes to the standard error: the former belongs to the conversation.
    /// </summary>
    /// <returns>The exit code: 0, or 2 for a wrong command line.</returns>
    public static async Task<int> RunAsync(BackupWriter writer, IReadOnlyList<string> arguments, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(arguments);
        if (arguments.Count == 2 && arguments[0] == SocketOption)
        {
            await ListenAsync(writer, arguments[1], cancellationToken);
            return 0;
        }

        if (arguments.Count != 0)
        {
            await Console.Error.WriteLineAsync($"usage: [{SocketOption} PATH]; without it, the conversation is on the standard input and output");
            return 2;
        }

        await using Stream input = Console.OpenStandardInput();
        await using Stream output = Console.OpenStandardOutput();
        Console.SetOut(Console.Error);
        await ConverseAsync(writer, input, output, TimeProvider.System, cancellationToken);
        return 0;
    }

    /// <summary>Listens on a Unix socket that only its user may open, one conversation after the other, until it is cancelled.</summary>
    /// <param name="writer">Asked in each of them.</param>
    /// <param name="path">In /run/quench/writers, with a name that ends in `.sock`. A socket that nobody listens on any more is replaced.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">Something else is there, or another process listens.</exception>
    public static async Task ListenAsync(BackupWriter writer, string path, CancellationToken cancellationToken)
    {
        await RemoveDeadSocketAsync(path, cancellationToken);
        using Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(Waiting);
        try
        {
            while (true)
            {
                using Socket connection = await listener.AcceptAsync(cancellationToken);
                await using NetworkStream stream = new(connection);
                await ConverseAsync(writer, stream, stream, TimeProvider.System, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            File.Delete(path);
        }
    }

    /// <summary>Answers until the other side hangs up; then nothing is held any more. A conversation that breaks has ended.</summary>
    /// <param name="writer">Asked.</param>
    /// <param name="input">Questions; the caller's.</param>
    /// <param name="output">Answers; the caller's, may be the same.</param>
    /// <param name="clock">Measures limits.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task ConverseAsync(BackupWriter writer, Stream input, Stream output, TimeProvider clock, CancellationToken cancellationToken) =>
        await new Conversation(writer, input, output, clock).RunAsync(cancellationToken);

    private static async Task RemoveDeadSocketAsync(string path, CancellationToken cancellationToken)
    {
        if (!File.Exists(path))
        {
            return;
        }

        using Socket attempt = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await attempt.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }
        catch (SocketException failure)
        {
            throw new IOException($"{path} is there and is no socket of a writer", failure);
        }

        throw new IOException($"another process listens on {path}");
    }
}
