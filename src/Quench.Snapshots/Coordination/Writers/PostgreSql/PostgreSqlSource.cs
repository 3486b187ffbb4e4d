using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.PostgreSql;

/// <summary>Finds PostgreSQL servers by their processes: the first one of each server works in the data directory and listens.</summary>
internal sealed class PostgreSqlSource : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a01");

    /// <inheritdoc/>
    public string Name => PostgreSqlWriter.SourceName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<IWriter>>(
        [.. ServerProcess.Find("postgres").Select(server => Writer(server, search)).OfType<IWriter>().DistinctBy(writer => writer.Identity)]);

    private static PostgreSqlWriter? Writer(ServerProcess server, WriterSearch search)
    {
        UnixDomainSocketEndPoint? socket = server.Sockets.OfType<UnixDomainSocketEndPoint>().FirstOrDefault();
        string links = Path.Combine(server.Folder, "pg_tblspc");
        if (socket is null || !Directory.Exists(links)
            || !(search.Holds(server.Folder) || search.Holds(Path.Combine(server.Folder, "pg_wal")) || Directory.EnumerateFileSystemEntries(links).Any(search.Holds)))
        {
            return null;
        }

        WriterIdentity identity = new(s_id, WriterIdentity.InstanceIdOf(s_id, server.Folder), "PostgreSQL", server.Folder);
        return new PostgreSqlWriter(identity, server, ServerLogin.AsServer(server, socket, PostgreSqlWriter.SourceName, search.Settings), search);
    }
}
