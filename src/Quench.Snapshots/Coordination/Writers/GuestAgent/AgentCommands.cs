using System.Buffers;
using System.Text.Json;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.GuestAgent;

/// <summary>What is asked of an agent, in our words.</summary>
internal static class AgentCommands
{
    private const string Freeze = "guest-fsfreeze-freeze";
    private const string Thaw = "guest-fsfreeze-thaw";
    private const string Status = "guest-fsfreeze-status";
    private const int LongestVersion = 64;

    private static readonly string[] s_needed = [Freeze, Thaw, Status];
    private static readonly SearchValues<char> s_versions = SearchValues.Create("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+~-_ ()");

    /// <summary>Connects and finds the beginning of the conversation, within a limit of its own: where somebody else is served nobody answers.</summary>
    internal static async ValueTask<AgentLine> BeginAsync(string socket, TimeSpan answerLimit, TimeProvider clock, CancellationToken cancellationToken)
    {
        using CancellationTokenSource timer = new(answerLimit, clock);
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timer.Token);
        AgentLine? line = null;
        try
        {
            line = await AgentLine.ConnectAsync(socket, limit.Token);
            await line.SyncAsync(limit.Token);
            return line;
        }
        catch (OperationCanceledException failure) when (!cancellationToken.IsCancellationRequested)
        {
            line?.Dispose();
            throw new WriterException(
                WriterError.NotResponding, $"no agent answered at {socket} within {answerLimit.TotalSeconds:0.#} s: is it installed and running in the guest, and does nobody else (libvirt) hold the socket?", failure);
        }
        catch
        {
            line?.Dispose();
            throw;
        }
    }

    /// <summary>The agent's version, and why it can't freeze; null when it can.</summary>
    internal static async ValueTask<(string Version, string? WhyNot)> LookAsync(AgentLine line, CancellationToken cancellationToken)
    {
        JsonElement info = await line.AskAsync("guest-info", cancellationToken);
        if (info.ValueKind != JsonValueKind.Object || !info.TryGetProperty("supported_commands", out JsonElement commands) || commands.ValueKind != JsonValueKind.Array)
        {
            throw new ProtocolException("the agent did not say what it can");
        }

        string? missing = s_needed.FirstOrDefault(wanted => !commands.EnumerateArray().Any(command => IsEnabled(command, wanted)));
        string version = info.TryGetProperty("version", out JsonElement said) && said.ValueKind == JsonValueKind.String && IsVersion(said) ? said.GetString()! : "";
        return (version, missing is null ? null : $"the guest does not allow {missing}: allow it in the agent's configuration there");
    }

    /// <summary>Freezes the guest's file systems.</summary>
    /// <returns>How many.</returns>
    internal static async ValueTask<long> FreezeAsync(AgentLine line, CancellationToken cancellationToken) => Number(await line.AskAsync(Freeze, cancellationToken), Freeze);

    /// <summary>Thaws them.</summary>
    internal static async ValueTask ThawAsync(AgentLine line, CancellationToken cancellationToken) => _ = Number(await line.AskAsync(Thaw, cancellationToken), Thaw);

    /// <summary>Whether they are frozen.</summary>
    internal static async ValueTask<bool> IsFrozenAsync(AgentLine line, CancellationToken cancellationToken)
    {
        JsonElement status = await line.AskAsync(Status, cancellationToken);
        return status.ValueKind != JsonValueKind.String ? throw new ProtocolException($"the agent's answer to {Status} is not a word")
            : status.ValueEquals("frozen") ? true
            : status.ValueEquals("thawed") ? false
            : throw new ProtocolException($"the agent's answer to {Status} is neither frozen nor thawed");
    }

    private static bool IsEnabled(JsonElement command, string name) =>
        command.ValueKind == JsonValueKind.Object
        && command.TryGetProperty("name", out JsonElement its) && its.ValueKind == JsonValueKind.String && its.ValueEquals(name)
        && command.TryGetProperty("enabled", out JsonElement enabled) && enabled.ValueKind == JsonValueKind.True;

    private static bool IsVersion(JsonElement said)
    {
        string raw = said.GetRawText();
        return raw.Length <= LongestVersion && !raw.AsSpan(1, raw.Length - 2).ContainsAnyExcept(s_versions);
    }

    private static long Number(JsonElement returned, string command) => returned.ValueKind == JsonValueKind.Number && returned.TryGetInt64(out long count) && count >= 0
        ? count
        : throw new ProtocolException($"the agent's answer to {command} is not a number");
}
