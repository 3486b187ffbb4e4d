namespace Quench.Snapshots.Coordination.Writers.Servers;

/// <summary>A server hung up in the middle of an answer, or answered what its protocol does not know.</summary>
internal sealed class ProtocolException(string message) : IOException(message);
