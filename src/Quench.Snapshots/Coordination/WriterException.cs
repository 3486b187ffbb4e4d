namespace Quench.Snapshots.Coordination;

/// <summary>A writer cannot do what it was asked. Never leaves the coordination: it becomes a line of the writer's report.</summary>
/// <param name="error">Why, and whether a second try may help.</param>
/// <param name="message">What happened, and what a person can do: one sentence, lower case, no secret in it.</param>
/// <param name="cause">The failure below, if any.</param>
public sealed class WriterException(WriterError error, string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>Why.</summary>
    public WriterError Error { get; } = error;
}
