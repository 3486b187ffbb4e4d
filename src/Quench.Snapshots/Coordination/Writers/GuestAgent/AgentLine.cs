using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.GuestAgent;

/// <summary>
/// A conversation with the agent in a guest: a line of JSON each way. What it says comes from inside the guest, where nobody is trusted: it is bounded, and whatever is not of the protocol
/// ends the conversation. (QEMU documentation, "QEMU Guest Agent Protocol Reference")
/// </summary>
/// <remarks>
/// <code>
/// ▶ FF {"execute":"guest-sync-delimited","arguments":{"id":N}}      the FF ends whatever somebody before us left in the agent's ear
/// ◀ … FF {"return":N}                                              all before the FF was for somebody else
/// ▶ {"execute":"guest-fsfreeze-freeze"}
/// ◀ {"return":3}      or  {"error":{"class":"GenericError","desc":"…"}}
/// </code>
/// After a call that failed or was cancelled only disposing is left: nobody knows where the conversation is. For one thread.
/// </remarks>
internal sealed class AgentLine(Stream stream) : IDisposable
{
    /// <summary>The longest answer; what an agent says of itself is some ten thousand bytes.</summary>
    internal const int LongestAnswer = 256 * 1024;

    /// <summary>The most that is passed over before the answer to a sync: answers to somebody who has gone.</summary>
    internal const int MostLeftOver = 1 << 20;

    private const byte Sentinel = 0xFF;

    private static readonly JsonDocumentOptions s_shallow = new() { MaxDepth = 16 };

    private readonly byte[] _buffer = new byte[4096];
    private int _start; // [_start, _end) of the buffer has been received and not been taken
    private int _end;

    /// <summary>Connects to the agent's side of a socket. QEMU serves one client at a time: while there is another one nobody answers.</summary>
    internal static async ValueTask<AgentLine> ConnectAsync(string path, CancellationToken cancellationToken)
    {
        Socket socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new AgentLine(new NetworkStream(socket, ownsSocket: true));
        }
        catch (ArgumentOutOfRangeException failure)
        {
            socket.Dispose();
            throw new IOException($"{path} is too long for the name of a socket", failure);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Makes sure that the next answer is one to our next question.</summary>
    internal async ValueTask SyncAsync(CancellationToken cancellationToken)
    {
        int id = RandomNumberGenerator.GetInt32(1, int.MaxValue);
        await stream.WriteAsync(new byte[] { Sentinel }, cancellationToken);
        await SendAsync($$$"""{"execute":"guest-sync-delimited","arguments":{"id":{{{id}}}}}""", cancellationToken);
        int passed = 0;
        while (true)
        {
            byte next;
            do
            {
                next = await TakeByteAsync(cancellationToken);
                passed++;
                if (passed > MostLeftOver)
                {
                    throw new ProtocolException($"the agent sent more than {MostLeftOver >> 10} KiB that are no answer");
                }
            }
            while (next != Sentinel);

            byte[] line = await TakeLineAsync(cancellationToken);
            passed += line.Length + 1;
            if (IsAnswerTo(line, id))
            {
                return;
            }
        }
    }

    /// <summary>Asks, and takes what is returned.</summary>
    /// <exception cref="ServerRefusalException">The agent answered that it could not.</exception>
    /// <exception cref="ProtocolException">What came is no answer.</exception>
    internal async ValueTask<JsonElement> AskAsync(string command, CancellationToken cancellationToken)
    {
        await SendAsync($$"""{"execute":"{{command}}"}""", cancellationToken);
        byte[] line = await TakeLineAsync(cancellationToken);
        if (!Utf8.IsValid(line))
        {
            throw new ProtocolException($"the agent's answer to {command} is no text"); // inside a string the parser would not see it
        }

        try
        {
            using JsonDocument answer = JsonDocument.Parse(line, s_shallow);
            JsonElement root = answer.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("return", out JsonElement returned))
            {
                return returned.Clone();
            }

            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("error", out JsonElement error) && error.ValueKind == JsonValueKind.Object)
            {
                throw new ServerRefusalException(command, error.TryGetProperty("desc", out JsonElement text) && text.ValueKind == JsonValueKind.String ? PrintableText.Of(text.GetString()!) : "it did not say why");
            }
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException) // the latter: text that is not Unicode
        {
            throw new ProtocolException($"the agent's answer to {command} is not JSON");
        }

        throw new ProtocolException($"the agent's answer to {command} is neither a return nor an error");
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    private async ValueTask SendAsync(string line, CancellationToken cancellationToken) => await stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"), cancellationToken);

    /// <summary>The next line that says anything.</summary>
    private async ValueTask<byte[]> TakeLineAsync(CancellationToken cancellationToken)
    {
        MemoryStream line = new();
        for (int taken = 1; taken <= LongestAnswer; taken++)
        {
            byte next = await TakeByteAsync(cancellationToken);
            if (next != (byte)'\n')
            {
                line.WriteByte(next);
            }
            else if (line.Length > 0)
            {
                return line.ToArray();
            }
        }

        throw new ProtocolException($"the agent's line has no end within {LongestAnswer >> 10} KiB");
    }

    private static bool IsAnswerTo(byte[] line, int id)
    {
        try
        {
            using JsonDocument answer = JsonDocument.Parse(line, s_shallow);
            return answer.RootElement.ValueKind == JsonValueKind.Object
                && answer.RootElement.TryGetProperty("return", out JsonElement returned) && returned.ValueKind == JsonValueKind.Number && returned.TryGetInt64(out long value) && value == id;
        }
        catch (JsonException)
        {
            return false; // somebody else's, or none
        }
    }

    private async ValueTask<byte> TakeByteAsync(CancellationToken cancellationToken)
    {
        if (_start == _end)
        {
            _start = 0;
            _end = await stream.ReadAsync(_buffer, cancellationToken);
            if (_end == 0)
            {
                throw new ProtocolException("the agent's line was closed");
            }
        }

        return _buffer[_start++];
    }
}
