using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.Redis;

/// <summary>Finds Redis servers by their processes: they work in the folder of their data and listen on a Unix socket or a port.</summary>
internal sealed class RedisSource : IWriterSource
{
    private static readonly Guid s_id = new("0c1f5a52-6b1e-4d3c-9a57-6f3f1d7f0a03");

    /// <inheritdoc/>
    public string Name => RedisWriter.SourceName;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<IWriter>> FindAsync(WriterSearch search, CancellationToken cancellationToken) => ValueTask.FromResult<IReadOnlyList<IWriter>>(
        [.. ServerProcess.Find("redis-server").Where(server => server.Sockets.Count > 0 && search.Holds(server.Folder)).Select(server => Writer(server, search)).DistinctBy(writer => writer.Identity)]);

    private static RedisWriter Writer(ServerProcess server, WriterSearch search)
    {
        WriterIdentity identity = new(s_id, WriterIdentity.InstanceIdOf(s_id, server.Folder), "Redis", server.Folder);
        return new RedisWriter(identity, server, ServerLogin.AsOurselves(server.Sockets[0], RedisWriter.SourceName, search.Settings), search);
    }
}
