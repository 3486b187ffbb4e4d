using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>A guest's agent behind a socket as QEMU offers it: one client at a time. In order unless it is told to behave otherwise; the real one is in the system tests.</summary>
internal sealed class FakeAgent : IAsyncDisposable
{
    private readonly Socket _listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;
    private bool _isOff;

    internal FakeAgent(string path)
    {
        Path = path;
        _listener.Bind(new UnixDomainSocketEndPoint(path));
        _listener.Listen(1);
        _serving = Task.Run(ServeAsync);
    }

    internal string Path { get; }

    internal volatile bool IsFrozen;

    /// <summary>How often it was thawed.</summary>
    internal int Thaws { get; private set; }

    /// <summary>Bytes to say instead of its answer to a command; empty for nothing; null for the usual.</summary>
    internal Func<string, byte[]?>? Says { get; set; }

    /// <summary>Hangs up after hearing a command, having done it.</summary>
    internal Func<string, bool>? HangsUpAt { get; set; }

    /// <summary>What it says before each answer to a sync.</summary>
    internal byte[] Garbage { get; set; } = [];

    internal string[] Disabled { get; set; } = [];

    public async ValueTask DisposeAsync()
    {
        if (_isOff)
        {
            return;
        }

        _isOff = true;
        await _stop.CancelAsync();
        _listener.Dispose();
        File.Delete(Path);
        await _serving;
        _stop.Dispose();
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                using Socket client = await _listener.AcceptAsync(_stop.Token);
                await using NetworkStream stream = new(client);
                await TalkAsync(stream);
            }
            catch (Exception failure) when (failure is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (Exception failure) when (failure is IOException or SocketException)
            {
                // It hung up; the next one is served.
            }
        }
    }

    private async Task TalkAsync(NetworkStream stream)
    {
        List<byte> line = [];
        byte[] one = new byte[1];
        while (await stream.ReadAsync(one, _stop.Token) == 1)
        {
            if (one[0] == 0xFF)
            {
                line.Clear();
            }
            else if (one[0] != (byte)'\n')
            {
                line.Add(one[0]);
            }
            else
            {
                using JsonDocument question = JsonDocument.Parse(line.ToArray());
                line.Clear();
                string command = question.RootElement.GetProperty("execute").GetString()!;
                byte[] usual = Answer(command, question.RootElement);
                await stream.WriteAsync(Says?.Invoke(command) ?? usual, _stop.Token);
                if (HangsUpAt?.Invoke(command) == true)
                {
                    return;
                }
            }
        }
    }

    private byte[] Answer(string command, JsonElement question)
    {
        switch (command)
        {
            case "guest-sync-delimited":
                return [.. Garbage, 0xFF, .. Line($$"""{"return": {{question.GetProperty("arguments").GetProperty("id").GetInt64()}}}""")];
            case "guest-info":
                string commands = string.Join(',', ((string[])["guest-ping", "guest-fsfreeze-status", "guest-fsfreeze-freeze", "guest-fsfreeze-thaw"])
                    .Select(name => $$"""{"enabled": {{(Disabled.Contains(name) ? "false" : "true")}}, "name": "{{name}}", "success-response": true}"""));
                return Line($$$"""{"return": {"version": "7.2.19", "supported_commands": [{{{commands}}}]}}""");
            case "guest-fsfreeze-status":
                return Line($$"""{"return": "{{(IsFrozen ? "frozen" : "thawed")}}"}""");
            case "guest-fsfreeze-freeze":
                IsFrozen = true;
                return Line("""{"return": 2}""");
            case "guest-fsfreeze-thaw":
                int count = IsFrozen ? 2 : 0;
                IsFrozen = false;
                Thaws++;
                return Line($$"""{"return": {{count}}}""");
            default:
                return Line("""{"error": {"class": "CommandNotFound", "desc": "no such command"}}""");
        }
    }

    internal static byte[] Line(string text) => Encoding.UTF8.GetBytes(text + "\n");
}
