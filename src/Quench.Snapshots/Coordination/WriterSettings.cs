namespace Quench.Snapshots.Coordination;

/// <summary>
/// What an administrator set for writers: names such as "postgresql.user" with their values. The part before the first dot is the writer source's name. Never holds a secret: a
/// password is named by the file it lies in.
/// </summary>
/// <param name="values">By full name, lower case.</param>
public sealed class WriterSettings(IReadOnlyDictionary<string, string> values)
{
    /// <summary>Nothing is set: a source finds what it needs by itself.</summary>
    public static WriterSettings None { get; } = new(new Dictionary<string, string>());

    /// <summary>All that is set.</summary>
    public IReadOnlyDictionary<string, string> Values { get; } = values;

    /// <summary>A value, or null when it is not set.</summary>
    /// <param name="source">The writer source's name: "postgresql".</param>
    /// <param name="key">The setting's name: "socket".</param>
    public string? Find(string source, string key) => Values.GetValueOrDefault($"{source}.{key}");
}
