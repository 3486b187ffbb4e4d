using Quench.Snapshots.Coordination.Writers.GuestAgent;
using Quench.Snapshots.Coordination.Writers.MariaDb;
using Quench.Snapshots.Coordination.Writers.PostgreSql;
using Quench.Snapshots.Coordination.Writers.Redis;
using Quench.Snapshots.Coordination.Writers.Sqlite;
using Quench.Snapshots.Coordination.Writers.Systemd;

namespace Quench.Snapshots.Coordination.Writers;

/// <summary>The writers that come with Quench.</summary>
public static class BuiltInWriters
{
    /// <summary>Their sources, in the order in which listings show them.</summary>
    public static IReadOnlyList<IWriterSource> All { get; } =
    [
        new PostgreSqlSource(), new MariaDbSource(), new RedisSource(), new SqliteSource(), new SystemdSource(), new GuestAgentSource(),
    ];
}
