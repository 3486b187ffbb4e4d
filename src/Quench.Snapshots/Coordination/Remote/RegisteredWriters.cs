namespace Quench.Snapshots.Coordination.Remote;

/// <summary>Writers that run all the time: each listens on a socket in a folder that only root can write to. A socket there is the registration.</summary>
/// <param name="folder">The folder.</param>
public sealed class RegisteredWriters(string folder = RegisteredWriters.DefaultFolder) : IWriterSource
{
    /// <summary>Where they register unless something else is said.</summary>
    public const string DefaultFolder = "/run/quench/writers";

    /// <inheritdoc/>
    public string Name => "registered";

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken) =>
        ValueTask.FromResult(WriterFolder.Find(folder, "*.sock", path => new LineWriter(new SocketConnection(path))));
}
