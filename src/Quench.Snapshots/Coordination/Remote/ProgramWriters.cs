namespace Quench.Snapshots.Coordination.Remote;

/// <summary>Writers that are programs, started when they are needed: all executable files of a folder that only root can write to.</summary>
/// <param name="folder">The folder.</param>
public sealed class ProgramWriters(string folder = ProgramWriters.DefaultFolder) : IWriterSource
{
    /// <summary>Where they lie unless something else is said.</summary>
    public const string DefaultFolder = "/etc/quench/writers";

    /// <inheritdoc/>
    public string Name => "program";

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken) =>
        ValueTask.FromResult(WriterFolder.Find(folder, "*", path => new LineWriter(new ProgramConnection(path))));
}
