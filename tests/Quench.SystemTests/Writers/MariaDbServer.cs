using System.Globalization;
using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.MariaDb;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>MariaDB, with the engine's most careless setting: its log is written once a second, so that what was acknowledged is on disk only if somebody sees to it.</summary>
internal sealed class MariaDbServer(string data, string run) : TestServer(data, run, User)
{
    private const string User = "mysql";

    internal string Socket => Path.Combine(Run, "mariadb.sock");

    internal override TestServer Over(string copy, string copyRun) => new MariaDbServer(copy, copyRun);

    internal override async Task MakeAsync()
    {
        Directory.CreateDirectory(Data);
        await OwnAsync(Data);
        await RunAsync("mariadb-install-db", "--no-defaults", $"--datadir={Data}", "--skip-test-db", "--auth-root-authentication-method=socket", "--innodb-log-file-size=8M");
    }

    protected override IEnumerable<string> Command =>
    [
        "mariadbd", "--no-defaults", $"--datadir={Data}", $"--socket={Socket}", $"--pid-file={Path.Combine(Run, "pid")}", "--skip-networking", "--innodb-log-file-size=8M",
        "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0", "--log-bin=binlog", "--server-id=1",
    ];

    internal override async Task MakeTablesAsync()
    {
        await AskAsync("CREATE DATABASE ledger");
        await AskAsync("CREATE TABLE ledger.entry(lane int, number bigint, note text, PRIMARY KEY (lane, number)) ENGINE=InnoDB");
        await AskAsync("CREATE TABLE ledger.twin(lane int, number bigint, note text, PRIMARY KEY (lane, number)) ENGINE=InnoDB");
    }

    internal override async Task ClearAsync()
    {
        await AskAsync("TRUNCATE ledger.entry");
        await AskAsync("TRUNCATE ledger.twin");
        await AskAsync("RESET MASTER"); // the binary log grows with the load
    }

    internal override async Task<ILane> ConnectAsync() => new Lane(await LogInAsync());

    internal override async Task CheckAsync()
    {
        string words = await Tool.RunAsync("mariadb-check", "--no-defaults", "-S", Socket, "--all-databases", "--extended");
        Assert.All(words.Split('\n', StringSplitOptions.RemoveEmptyEntries), line => Assert.EndsWith("OK", line, StringComparison.Ordinal));
    }

    internal override async Task<IReadOnlyList<(int Lane, long Number)>> ReadAsync()
    {
        const string Both = "SELECT a.lane, a.number, a.note = b.note FROM ledger.entry a LEFT JOIN ledger.twin b USING (lane, number)";
        IReadOnlyList<string?[]> rows = await AskAsync(Both);
        Assert.Equal(rows.Count.ToString(CultureInfo.InvariantCulture), (await AskAsync("SELECT count(*) FROM ledger.twin"))[0][0]);
        Assert.All(rows, row => Assert.Equal("1", row[2]));
        return [.. rows.Select(row => (int.Parse(row[0]!, CultureInfo.InvariantCulture), long.Parse(row[1]!, CultureInfo.InvariantCulture)))];
    }

    internal async Task<IReadOnlyList<string?[]>> AskAsync(string statement)
    {
        using MariaDbClient client = await LogInAsync();
        return await client.QueryAsync(statement, CancellationToken.None);
    }

    private async Task<MariaDbClient> LogInAsync() => await MariaDbClient.LogInAsync(
        await ServerLine.ConnectAsync(new UnixDomainSocketEndPoint(Socket), null, CancellationToken.None), "root", null, CancellationToken.None);

    private sealed class Lane(MariaDbClient client) : ILane
    {
        public async Task CommitAsync(int lane, long number)
        {
            string values = string.Create(CultureInfo.InvariantCulture, $"VALUES ({lane}, {number}, repeat('{number:x}', {number % 50}))");
            foreach (string statement in (string[])["BEGIN", $"INSERT INTO ledger.entry {values}", $"INSERT INTO ledger.twin {values}", "COMMIT"])
            {
                await client.QueryAsync(statement, CancellationToken.None);
            }
        }

        public void Dispose() => client.Dispose();
    }
}
