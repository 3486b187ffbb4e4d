namespace Quench.Snapshots.Coordination.Writers.GuestAgent;

/// <summary>The guests that the setting <c>qemu.agents</c> names, as <c>NAME:/path/of/the/agent's/socket</c>, separated by commas.</summary>
internal sealed class GuestAgentSource : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a06");

    /// <inheritdoc/>
    public string Name => GuestAgentWriter.SourceName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken)
    {
        List<IWriter> found = [];
        foreach (string agent in (search.Settings.Find(Name, "agents") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (agent.Split(':', 2) is not [var guest, var socket] || !IsName(guest) || !Path.IsPathRooted(socket))
            {
                throw new WriterException(WriterError.NonRetryable, $"{Name}.agents names guests and the sockets of their agents, such as shop:/run/vm/shop.agent; this is none of them: {agent}");
            }

            string[] folders = (search.Settings.Find(Name, $"folders.{guest}") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (folders.Length == 0 || folders.Any(search.Holds))
            {
                found.Add(new GuestAgentWriter(new WriterIdentity(s_id, WriterIdentity.InstanceIdOf(s_id, guest), "QEMU", guest), socket, folders, search.Clock));
            }
        }

        return ValueTask.FromResult<IReadOnlyList<IWriter>>(found);
    }

    private static bool IsName(string name)
    {
        const int Longest = 64;
        return name.Length is > 0 and <= Longest && name.All(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.');
    }
}
