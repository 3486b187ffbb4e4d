using System.Globalization;
using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.PostgreSql;
using Quench.Snapshots.Coordination.Writers.Servers;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>PostgreSQL.</summary>
internal sealed class PostgreSqlServer(string data, string run) : TestServer(data, run, User)
{
    internal const string User = "postgres";

    private const string Port = "5432";

    private static string Programs => Directory.GetDirectories("/usr/lib/postgresql").Order(StringComparer.Ordinal).Last() + "/bin/";

    internal static bool IsHere => Directory.Exists("/usr/lib/postgresql");

    internal override TestServer Over(string copy, string copyRun) => new PostgreSqlServer(copy, copyRun);

    internal override async Task MakeAsync()
    {
        Directory.CreateDirectory(Data);
        await OwnAsync(Data);
        await RunAsync(Programs + "initdb", "-D", Data, "-A", "peer", "-U", User, "-E", "UTF8", "--locale=C", "--wal-segsize=1", "--no-sync");
        await File.WriteAllTextAsync(Path.Combine(Data, "pg_hba.conf"), "local all weak,able scram-sha-256\nlocal all all peer\n");
    }

    protected override IEnumerable<string> Command =>
    [
        Programs + "postgres", "-D", Data, "-k", Run, "-p", Port, "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c", "max_wal_size=32MB", "-c", "checkpoint_timeout=30s",
    ];

    internal override async Task MakeTablesAsync() => await AskAsync(
        "CREATE TABLE entry(lane int, number bigint, note text, PRIMARY KEY (lane, number)); CREATE TABLE twin(lane int, number bigint, note text, PRIMARY KEY (lane, number))");

    internal override async Task ClearAsync() => await AskAsync("TRUNCATE entry, twin");

    internal override async Task<ILane> ConnectAsync() => new Lane(await LogInAsync());

    internal override async Task CheckAsync() =>
        await RunAsync(Programs + "pg_amcheck", "-h", Run, "-p", Port, "-U", User, "--all", "--install-missing", "--heapallindexed");

    internal override async Task<IReadOnlyList<(int Lane, long Number)>> ReadAsync()
    {
        IReadOnlyList<string?[]> rows = await AskAsync("SELECT lane, number, twin.note IS NOT NULL AND entry.note = twin.note FROM entry FULL JOIN twin USING (lane, number)");
        Assert.All(rows, row => Assert.Equal("t", row[2]));
        return [.. rows.Select(row => (int.Parse(row[0]!, CultureInfo.InvariantCulture), long.Parse(row[1]!, CultureInfo.InvariantCulture)))];
    }

    internal async Task<IReadOnlyList<string?[]>> AskAsync(string statement)
    {
        using PostgreSqlClient client = await LogInAsync();
        return await client.QueryAsync(statement, CancellationToken.None);
    }

    private async Task<PostgreSqlClient> LogInAsync()
    {
        UnixDomainSocketEndPoint socket = new(Path.Combine(Run, $".s.PGSQL.{Port}"));
        uint id = uint.Parse(await RunAsync("id", "-u"), CultureInfo.InvariantCulture);
        return await PostgreSqlClient.LogInAsync(await ServerLine.ConnectAsync(socket, id, CancellationToken.None), User, "postgres", null, CancellationToken.None);
    }

    private sealed class Lane(PostgreSqlClient client) : ILane
    {
        public async Task CommitAsync(int lane, long number)
        {
            string values = string.Create(CultureInfo.InvariantCulture, $"VALUES ({lane}, {number}, repeat('{number:x}', {number % 50}))");
            await client.QueryAsync($"BEGIN; INSERT INTO entry {values}; INSERT INTO twin {values}; COMMIT", CancellationToken.None);
        }

        public void Dispose() => client.Dispose();
    }
}
