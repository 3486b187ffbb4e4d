namespace Quench.Exports.Nbd;

/// <summary>A client has said something after which nobody can know what its next byte means: the connection ends.</summary>
internal sealed class NbdProtocolException(string message) : Exception(message);
