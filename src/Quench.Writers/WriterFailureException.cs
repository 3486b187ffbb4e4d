namespace Quench.Writers;

/// <summary>A writer could not do what it was asked. The message stands in the report of the backup.</summary>
/// <param name="error">What kind.</param>
/// <param name="message">What happened, in a sentence.</param>
/// <param name="cause">Null when there is none.</param>
public sealed class WriterFailureException(WriterError error, string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>What kind.</summary>
    public WriterError Error { get; } = error;
}
