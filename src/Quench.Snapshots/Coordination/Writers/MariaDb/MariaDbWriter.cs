using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.MariaDb;

/// <summary>
/// A MariaDB server. One session takes the server's own backup lock step by step (BACKUP STAGE) and keeps it over the instant: no commit, no change of a table without transactions and no
/// change of a table's shape happens meanwhile, and what was committed is in the engines' logs on disk, whatever innodb_flush_log_at_trx_commit says.
/// </summary>
internal sealed partial class MariaDbWriter(WriterIdentity identity, ServerProcess server, ServerLogin login, WriterSearch search) : ApplicationWriter(identity, search.Clock)
{
    internal const string SourceName = "mariadb";

    private const string Facts =
        "SELECT @@version, @@datadir, @@innodb_data_home_dir, @@innodb_log_group_home_dir, @@innodb_undo_directory, @@aria_log_dir_path, @@log_bin, @@log_bin_basename";

    /// <summary>Tables that were given a place of their own. (CREATE TABLE … DATA DIRECTORY)</summary>
    private const string Places = "SELECT FILENAME FROM information_schema.INNODB_SYS_TABLESPACES WHERE FILENAME LIKE '/%'";

    private const string Position = "SELECT @@log_bin, @@gtid_binlog_pos";

    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(5);

    private MariaDbClient? _client;
    private string? _position; // in the binary log, while commits were held

    /// <inheritdoc/>
    protected override async ValueTask<WriterMetadata> AskAsync(CancellationToken cancellationToken)
    {
        MariaDbClient client = await ConnectedAsync(cancellationToken);
        string?[] facts = (await client.QueryAsync(Facts, cancellationToken))[0];
        string data = Path.TrimEndingDirectorySeparator(facts[1]!);
        List<string> folders = [data];
        foreach (string? folder in facts[2..6].Append(Path.GetDirectoryName(facts[7])))
        {
            AddIfElsewhere(folders, data, folder);
        }

        foreach (string?[] place in await client.QueryAsync(Places, cancellationToken))
        {
            AddIfElsewhere(folders, data, Path.GetDirectoryName(place[0]));
        }

        foreach (DirectoryInfo linked in new DirectoryInfo(data).EnumerateDirectories().Where(folder => folder.LinkTarget is not null))
        {
            AddIfElsewhere(folders, data, linked.ResolveLinkTarget(returnFinalTarget: true)?.FullName);
        }

        return new WriterMetadata
        {
            Version = facts[0]!,
            Method = "one session holds the server's backup lock (BACKUP STAGE BLOCK_COMMIT) and flushes the engines' logs, so that commits, and changes of tables without transactions, wait; a "
                + "restored copy replays its logs when it starts",
            Components = [Server(folders)],
            CannotHold = WhyNot(folders, data, facts[0]!),
        };
    }

    private static WriterComponent Server(List<string> folders) => new()
    {
        Name = "server",
        Caption = $"all databases of the server in {folders[0]}",
        Files = [.. folders.Select(folder => new ComponentFiles(folder))],
        Excluded =
        [
            new ComponentFiles(folders[0], "*.pid", IsRecursive: false), new ComponentFiles(folders[0], "*.sock", IsRecursive: false),
            new ComponentFiles(folders[0], "ibtmp*", IsRecursive: false),
        ],
        RestoreNote = "The server recovers from its logs when it starts.",
    };

    private string? WhyNot(List<string> folders, string data, string version)
    {
        if (folders.FirstOrDefault(folder => !search.Holds(folder)) is { } elsewhere)
        {
            return $"{elsewhere} is part of the server of {data} and lies on a volume that is not taken: take that volume in the same set";
        }

        return HasBackupStages(version) ? null : $"the server's version {version} has no BACKUP STAGE: it needs MariaDB 10.4.1 or later";
    }

    internal static bool HasBackupStages(string version) =>
        VersionNumber().Match(version) is { Success: true } number && version.Contains("MariaDB", StringComparison.OrdinalIgnoreCase)
        && Version.Parse(number.Value) >= new Version(10, 4, 1);

    /// <summary>From here on no second backup begins, and tables that nobody uses are written out. Writers go on.</summary>
    /// <inheritdoc/>
    protected override async ValueTask ApproachAsync(CancellationToken cancellationToken)
    {
        MariaDbClient client = await ConnectedAsync(cancellationToken);
        await client.QueryAsync("BACKUP STAGE START", cancellationToken);
        await client.QueryAsync("BACKUP STAGE FLUSH", cancellationToken);
    }

    /// <inheritdoc/>
    protected override async ValueTask HoldAsync(CancellationToken cancellationToken)
    {
        MariaDbClient client = _client ?? throw new WriterException(WriterError.Retryable, "the session has ended before the freeze");
        int seconds = (int)Math.Ceiling(Operation!.HoldLimit.TotalSeconds);
        // How long a step may wait for those that are under way, while others queue up behind it; and when the server itself lets go of a session from which nothing is heard.
        await client.QueryAsync(string.Create(CultureInfo.InvariantCulture, $"SET SESSION lock_wait_timeout = {seconds}, SESSION wait_timeout = {seconds}"), cancellationToken);
        await client.QueryAsync("BACKUP STAGE BLOCK_DDL", cancellationToken);
        await client.QueryAsync("BACKUP STAGE BLOCK_COMMIT", cancellationToken);
        await client.QueryAsync("FLUSH NO_WRITE_TO_BINLOG ENGINE LOGS", cancellationToken);
        await WaitUntilLoggedAsync(client, cancellationToken);
        string?[] position = (await client.QueryAsync(Position, cancellationToken))[0];
        _position = position[0] == "1" ? $"gtid_binlog_pos: {position[1]}\n" : null;
    }

    /// <summary>
    /// With innodb_flush_log_at_trx_commit = 0 the statement above does not flush the engine's log, although its name says so: then the server does it by itself, once a second, and that is
    /// waited for.
    /// </summary>
    private async ValueTask WaitUntilLoggedAsync(MariaDbClient client, CancellationToken cancellationToken)
    {
        long committed = await LogPositionAsync(client, "Innodb_lsn_current", cancellationToken);
        while (await LogPositionAsync(client, "Innodb_lsn_flushed", cancellationToken) < committed)
        {
            await Task.Delay(s_look, Clock, cancellationToken);
        }
    }

    private static async ValueTask<long> LogPositionAsync(MariaDbClient client, string name, CancellationToken cancellationToken) =>
        await client.QueryAsync($"SHOW GLOBAL STATUS LIKE '{name}'", cancellationToken) is [[_, { } value]] && long.TryParse(value, CultureInfo.InvariantCulture, out long position)
            ? position
            : throw new WriterException(WriterError.NonRetryable, $"the server does not say what is in its log ({name})");

    /// <summary>The server ends a backup only for the session that has begun it: its yes says that the lock was owned until now.</summary>
    /// <inheritdoc/>
    protected override async ValueTask<HoldAnswer> ReleaseAsync(CancellationToken cancellationToken)
    {
        if (_client is not { } client)
        {
            return HoldAnswer.Lost("the session has ended, and the lock with it");
        }

        await client.QueryAsync("BACKUP STAGE END", cancellationToken);
        return HoldAnswer.Held;
    }

    /// <inheritdoc/>
    protected override ValueTask<IReadOnlyList<WriterDocument>> HandOverAsync(CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<WriterDocument>>(_position is null ? [] : [new WriterDocument("binlog_position", null, _position)]);

    /// <summary>The server drops the session, and the lock with it, as soon as it sees the end of the connection.</summary>
    /// <inheritdoc/>
    protected override void LetGo() => Interlocked.Exchange(ref _client, null)?.Dispose();

    /// <inheritdoc/>
    protected override string? WhyNotReplace(RestoreOperation operation) => server.WhyNotReplace(operation, "systemctl stop mariadb");

    private async ValueTask<MariaDbClient> ConnectedAsync(CancellationToken cancellationToken)
    {
        if (_client is { } open)
        {
            return open;
        }

        string? password = login.ReadPassword();
        return _client = await MariaDbClient.LogInAsync(await login.ConnectAsync(cancellationToken), login.User ?? Environment.UserName, password, cancellationToken);
    }

    /// <summary>A folder that does not lie below the data directory. Relative ones are meant from there.</summary>
    private static void AddIfElsewhere(List<string> folders, string data, string? folder)
    {
        string path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder ?? "", data));
        if (path != data && !path.StartsWith(data + "/", StringComparison.Ordinal) && !folders.Contains(path))
        {
            folders.Add(path);
        }
    }

    [GeneratedRegex(@"\d+\.\d+\.\d+")]
    private static partial Regex VersionNumber();
}
