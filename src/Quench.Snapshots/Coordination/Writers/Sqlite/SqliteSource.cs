namespace Quench.Snapshots.Coordination.Writers.Sqlite;

/// <summary>
/// The databases that the setting <c>sqlite.databases</c> names, separated by colons. Nobody else's: an application that does not wait for locks is told "database is locked" while one is
/// held, and whether that matters only its administrator knows.
/// </summary>
internal sealed class SqliteSource : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a04");

    /// <inheritdoc/>
    public string Name => SqliteWriter.SourceName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken)
    {
        string[] paths = (search.Settings.Find(Name, "databases") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return ValueTask.FromResult<IReadOnlyList<IWriter>>(
            [.. paths.Select(RealPath).Where(search.Holds).Distinct().Select(path => new SqliteWriter(new WriterIdentity(s_id, WriterIdentity.InstanceIdOf(s_id, path), "SQLite", path), path, search))]);
    }

    private static string RealPath(string path) => new FileInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
}
