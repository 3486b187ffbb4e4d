using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.MariaDb;

/// <summary>Finds MariaDB servers by their processes: they work in the data directory and listen on a Unix socket.</summary>
internal sealed class MariaDbSource : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a02");

    /// <inheritdoc/>
    public string Name => MariaDbWriter.SourceName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<IWriter>>(
        [.. ServerProcess.Find("mariadbd", "mysqld").Select(server => Writer(server, search)).OfType<IWriter>().DistinctBy(writer => writer.Identity)]);

    private static MariaDbWriter? Writer(ServerProcess server, WriterSearch search)
    {
        if (server.Sockets.OfType<UnixDomainSocketEndPoint>().FirstOrDefault() is not { } socket || !search.Holds(server.Folder))
        {
            return null;
        }

        WriterIdentity identity = new(s_id, WriterIdentity.InstanceIdOf(s_id, server.Folder), "MariaDB", server.Folder);
        return new MariaDbWriter(identity, server, ServerLogin.AsOurselves(socket, MariaDbWriter.SourceName, search.Settings), search);
    }
}
