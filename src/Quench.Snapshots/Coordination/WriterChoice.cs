namespace Quench.Snapshots.Coordination;

/// <summary>Which components a user wants: "PostgreSQL" for all of a writer's, "PostgreSQL/main" for one.</summary>
/// <param name="wanted">The words; null for everything.</param>
/// <param name="excluded">Likewise what is not to be held, whatever else is said.</param>
internal sealed class WriterChoice(IReadOnlyList<string>? wanted, IReadOnlyList<string> excluded)
{
    /// <summary>Whether a writer takes part. One that did not say what it owns, or can't hold, is not asked again.</summary>
    public bool Wants(WriterReport writer) =>
        writer.Metadata is { CannotHold: null } metadata
        && !excluded.Any(word => Same(word, writer.Identity.Name))
        && ((wanted is null && excluded.Count == 0) || metadata.Components.Any(component => Wants(writer.Identity, component)));

    /// <summary>Whether a component is wanted.</summary>
    public bool Wants(WriterIdentity writer, WriterComponent component) =>
        (wanted is null || Names(wanted, writer, component)) && !Names(excluded, writer, component);

    private static bool Names(IReadOnlyList<string> words, WriterIdentity writer, WriterComponent component) =>
        words.Any(word => Same(word, writer.Name) || Same(word, $"{writer.Name}/{component.Name}"));

    private static bool Same(string one, string other) => string.Equals(one, other, StringComparison.OrdinalIgnoreCase);
}
