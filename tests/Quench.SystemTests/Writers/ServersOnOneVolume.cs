using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>
/// One attached volume with PostgreSQL, MariaDB, Redis with an append-only file, Redis with saves alone, and two SQLite databases, one with each kind of journal. Made for the first test that
/// wants it, and shared by the class.
/// </summary>
public sealed class ServersOnOneVolume : IAsyncLifetime
{
    private const long VolumeBytes = 1L << 30;

    private readonly List<TestServer> _servers = [];
    private TempFolder? _folder;
    private LiveVolume? _volume;
    private Task? _starting; // fails for every test when it has failed for one

    internal LiveVolume Volume => _volume!;

    internal TempFolder Folder => _folder!;

    internal IReadOnlyList<TestServer> Servers => _servers;

    internal PostgreSqlServer PostgreSql => _servers.OfType<PostgreSqlServer>().Single();

    internal MariaDbServer MariaDb => _servers.OfType<MariaDbServer>().Single();

    internal string SqliteWithJournal => Path.Combine(Volume.MountPoint, "journal.db");

    internal string SqliteWithLog => Path.Combine(Volume.MountPoint, "log.db");

    /// <summary>The setting that names the SQLite databases.</summary>
    internal (string Name, string Value) SqliteSetting => ("sqlite.databases", $"{SqliteWithJournal}:{SqliteWithLog}");

    /// <inheritdoc/>
    public ValueTask InitializeAsync() => default;

    /// <summary>Skips the test where something is missing; otherwise everything runs when this returns.</summary>
    internal async Task StartAsync()
    {
        Requires.LiveVolumes();
        Requires.Tool("setpriv", "mariadbd", "mariadb-install-db", "mariadb-check", "redis-server", "redis-check-aof", "redis-check-rdb", "sqlite3");
        Assert.SkipUnless(PostgreSqlServer.IsHere, "needs PostgreSQL");
        await (_starting ??= StartAllAsync());
    }

    private async Task StartAllAsync()
    {
        _folder = new TempFolder("servers");
        OpenToAll(_folder.Path);
        _volume = await LiveVolume.CreateAsync(VolumeKind.Ext4, VolumeBytes);
        OpenToAll(Path.GetDirectoryName(_volume.MountPoint)!);
        _servers.AddRange(
        [
            new PostgreSqlServer(OnVolume("pg"), _folder["pg"]), new MariaDbServer(OnVolume("mariadb"), _folder["mariadb"]),
            new RedisServer(OnVolume("redis-appending"), _folder["ra"], appends: true), new RedisServer(OnVolume("redis-saving"), _folder["rs"], appends: false),
        ]);
        foreach (TestServer server in _servers)
        {
            await server.MakeAsync();
            await server.StartAsync();
            await server.MakeTablesAsync();
        }
    }

    /// <summary>Servers run as users of their own, who must come through to their folders.</summary>
    internal static void OpenToAll(string folder) => File.SetUnixFileMode(
        folder, File.GetUnixFileMode(folder) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute | UnixFileMode.GroupRead | UnixFileMode.OtherRead);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (TestServer server in _servers)
        {
            await server.DisposeAsync();
        }

        if (_volume is not null)
        {
            await _volume.DisposeAsync();
        }

        _folder?.Dispose();
    }

    private string OnVolume(string name) => Path.Combine(_volume!.MountPoint, name);
}
