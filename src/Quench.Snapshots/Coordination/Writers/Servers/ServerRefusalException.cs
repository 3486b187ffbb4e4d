namespace Quench.Snapshots.Coordination.Writers.Servers;

/// <summary>A server understood and said no. The conversation can go on.</summary>
/// <param name="code">The server's own code: an SQLSTATE, an error number, the first word of its answer.</param>
/// <param name="message">In its own words.</param>
internal sealed class ServerRefusalException(string code, string message) : Exception($"{message} ({code})")
{
    internal string Code { get; } = code;
}
