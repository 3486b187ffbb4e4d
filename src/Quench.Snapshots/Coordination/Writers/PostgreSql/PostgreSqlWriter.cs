using System.Globalization;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.PostgreSql;

/// <summary>
/// A PostgreSQL server. It needs no hold: its log on disk holds every commit before it is acknowledged, and the volumes are taken at one instant, so that recovery from the log is exact. What
/// the writer does is to make sure of the conditions, in one session from before the instant until after it. The reasons are in the room's README.
/// </summary>
internal sealed class PostgreSqlWriter(WriterIdentity identity, ServerProcess server, ServerLogin login, WriterSearch search) : ApplicationWriter(identity, search.Clock)
{
    internal const string SourceName = "postgresql";

    private const string Database = "postgres";

    private const string Facts = """
        SELECT current_setting('server_version'), current_setting('data_directory'), current_setting('fsync'), current_setting('full_page_writes'), pg_is_in_recovery(),
               (SELECT bool_or(rolsuper) FROM pg_roles WHERE rolname = current_user)
                   OR EXISTS (SELECT FROM pg_roles WHERE rolname = 'pg_checkpoint' AND pg_has_role(current_user, oid, 'USAGE')),
               current_setting('synchronous_commit') = 'off'
                   OR EXISTS (SELECT FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setting = 'synchronous_commit=off')
        """;

    private const string Places = "SELECT spcname, pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) <> ''";

    /// <summary>What must be the same after the instant as before it.</summary>
    private const string Conditions =
        "SELECT pg_postmaster_start_time()::text, pg_is_in_recovery()::text, current_setting('fsync'), current_setting('full_page_writes')";

    private PostgreSqlClient? _client;
    private bool _mayCheckpoint;
    private string[] _conditions = [];
    private string? _position; // of the log, before the instant and after it

    /// <inheritdoc/>
    protected override async ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        PostgreSqlClient client = await ConnectedAsync(cancellationToken);
        string?[] facts = (await client.QueryAsync(Facts, cancellationToken))[0];
        string data = facts[1]!;
        _mayCheckpoint = facts[5] == "t";
        List<string> folders = [data];
        AddIfElsewhere(folders, data, Path.Combine(data, "pg_wal"));
        foreach (string?[] place in await client.QueryAsync(Places, cancellationToken))
        {
            AddIfElsewhere(folders, data, place[1]!);
        }

        return new WriterMetadata
        {
            Version = facts[0]!,
            Method = "every commit is in the log on disk before it is acknowledged, so nothing is held; the log is flushed before the instant, and the same session confirms after it that "
                + "the server's durability was not switched off meanwhile; a restored copy replays its log when it starts",
            Components = [Cluster(folders, facts[6] == "t")],
            CannotHold = WhyNot(folders, data, facts),
        };
    }

    private static WriterComponent Cluster(List<string> folders, bool hasAsynchronousCommits) => new()
    {
        Name = "cluster",
        Caption = string.Create(CultureInfo.InvariantCulture, $"all databases of the server in {folders[0]}"),
        Files = [.. folders.Select(folder => new ComponentFiles(folder))],
        Excluded = [new ComponentFiles(folders[0], "postmaster.pid", IsRecursive: false), new ComponentFiles(folders[0], "postmaster.opts", IsRecursive: false)],
        RestoreNote = hasAsynchronousCommits
            ? "The server recovers from its log when it starts. Commits that an application made with synchronous_commit = off in the last second before the instant may be missing, as they may after a crash."
            : "The server recovers from its log when it starts.",
    };

    private string? WhyNot(List<string> folders, string data, string?[] facts)
    {
        if (folders.FirstOrDefault(folder => !search.Holds(folder)) is { } elsewhere)
        {
            return $"{elsewhere} is part of the cluster {data} and lies on a volume that is not taken: take that volume in the same set";
        }

        if (facts[4] == "t")
        {
            return "the server is a standby: what its primary has acknowledged may not have reached it; take the primary";
        }

        string[] off = [.. new[] { ("fsync", facts[2]), ("full_page_writes", facts[3]) }.Where(setting => setting.Item2 != "on").Select(setting => setting.Item1)];
        return off.Length == 0 ? null : $"{string.Join(" and ", off)} is switched off, so the server itself promises nothing after a crash: switch it on";
    }

    /// <summary>What was changed since the last checkpoint is written now and not while the file system is frozen; and a copy has less to replay. Nothing depends on it.</summary>
    /// <inheritdoc/>
    protected override async ValueTask BeginAsync(CancellationToken cancellationToken)
    {
        if (_mayCheckpoint)
        {
            await (await ConnectedAsync(cancellationToken)).QueryAsync("CHECKPOINT", cancellationToken);
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask ApproachAsync(CancellationToken cancellationToken) => await ConnectedAsync(cancellationToken);

    /// <summary>
    /// A commit of our own with a mark in the log: when it is acknowledged, so is everything that came before it, that of applications which do not wait for the disk included.
    /// </summary>
    /// <inheritdoc/>
    protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        PostgreSqlClient client = await ConnectedAsync(cancellationToken);
        await client.QueryAsync("SET synchronous_commit = local", cancellationToken);
        await client.QueryAsync($"SELECT pg_logical_emit_message(true, 'quench', '{Operation!.SetId}')", cancellationToken);
        _conditions = (await client.QueryAsync(Conditions, cancellationToken))[0]!;
        _position = $"flushed before the instant: {await FlushedAsync(client, cancellationToken)}\n";
        if (_conditions is not [_, "false", "on", "on"])
        {
            throw new WriterException(WriterError.NonRetryable, "the server's durability has been switched off, or it has become a standby");
        }
    }

    /// <inheritdoc/>
    protected override async ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken)
    {
        if (_client is not { } client)
        {
            return HoldAnswer.Lost("the session has ended");
        }

        string?[] now = (await client.QueryAsync(Conditions, cancellationToken))[0];
        _position += $"flushed after the instant: {await FlushedAsync(client, cancellationToken)}\n";
        return now.SequenceEqual(_conditions)
            ? HoldAnswer.Held
            : HoldAnswer.Lost("the server was started anew, or its fsync or full_page_writes were changed");
    }

    /// <inheritdoc/>
    protected override ValueTask<IReadOnlyList<WriterDocument>> HandOverAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<WriterDocument>>(_position is null ? [] : [new WriterDocument("wal_position", null, _position)]);

    /// <inheritdoc/>
    protected override void LetGo() => Interlocked.Exchange(ref _client, null)?.Dispose();

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation) => server.WhyNotReplace(operation, "systemctl stop postgresql");

    private async ValueTask<PostgreSqlClient> ConnectedAsync(CancellationToken cancellationToken)
    {
        if (_client is { } open)
        {
            return open;
        }

        string? password = login.ReadPassword();
        string user = login.User ?? Environment.UserName;
        return _client = await PostgreSqlClient.LogInAsync(
            await login.ConnectAsync(cancellationToken), user, search.Settings.Find(SourceName, "database") ?? Database, password, cancellationToken);
    }

    private static async ValueTask<string> FlushedAsync(PostgreSqlClient client, CancellationToken cancellationToken) =>
        (await client.QueryAsync("SELECT pg_current_wal_flush_lsn() || ' in ' || pg_walfile_name(pg_current_wal_flush_lsn())", cancellationToken))[0][0]!;

    /// <summary>A part of the cluster that lies behind a link; what lies below the data directory is in it already.</summary>
    private static void AddIfElsewhere(List<string> folders, string data, string path)
    {
        string real = new DirectoryInfo(path).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path;
        if (!real.StartsWith(data + "/", StringComparison.Ordinal))
        {
            folders.Add(real);
        }
    }
}
