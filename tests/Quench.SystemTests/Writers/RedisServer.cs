using System.Globalization;
using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Redis;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>Redis, with an append-only file that is synced once a second, or with saves alone, of which none is due.</summary>
internal sealed class RedisServer(string data, string run, bool appends, string? password = null) : TestServer(data, run, User)
{
    private const string User = "redis";

    internal string Socket => Path.Combine(Run, "redis.sock");

    internal override TestServer Over(string copy, string copyRun) => new RedisServer(copy, copyRun, appends);

    internal override async Task MakeAsync()
    {
        Directory.CreateDirectory(Data);
        await OwnAsync(Data);
    }

    protected override IEnumerable<string> Command =>
    [
        "redis-server", "--dir", Data, "--unixsocket", Socket, "--port", "0", "--daemonize", "no", "--appendonly", appends ? "yes" : "no", "--appendfsync", "everysec",
        "--save", appends ? "" : "3600 1000000000", .. password is null ? (string[])[] : ["--requirepass", password],
    ];

    internal override Task MakeTablesAsync() => Task.CompletedTask;

    internal override async Task ClearAsync() => await AskAsync("FLUSHALL");

    internal override async Task<ILane> ConnectAsync() => new Lane(await OpenAsync());

    internal override async Task CheckFilesAsync()
    {
        if (appends)
        {
            Assert.Contains("All AOF files and manifest are valid", await Tool.RunAsync("redis-check-aof", Path.Combine(Data, "appendonlydir", "appendonly.aof.manifest")), StringComparison.Ordinal);
        }
        else
        {
            Assert.Contains("RDB looks OK", await Tool.RunAsync("redis-check-rdb", Path.Combine(Data, "dump.rdb")), StringComparison.Ordinal);
        }
    }

    internal override async Task<IReadOnlyList<(int Lane, long Number)>> ReadAsync()
    {
        List<(int, long)> found = [];
        for (int lane = 0; (await AskAsync("LRANGE", Key(lane), "0", "-1")) is { Count: > 0 } numbers; lane++)
        {
            found.AddRange(numbers.Select(number => (lane, long.Parse(number!, CultureInfo.InvariantCulture))));
            Assert.Equal(numbers.Count.ToString(CultureInfo.InvariantCulture), (await AskAsync("GET", Key(lane) + ":count"))[0]);
        }

        return found;
    }

    internal async Task<IReadOnlyList<string?>> AskAsync(params IReadOnlyList<string> command)
    {
        using RedisClient client = await OpenAsync();
        return await client.AskAsync(CancellationToken.None, command);
    }

    private static string Key(int lane) => string.Create(CultureInfo.InvariantCulture, $"lane:{lane}");

    private async Task<RedisClient> OpenAsync()
    {
        RedisClient client = new(await ServerLine.ConnectAsync(new UnixDomainSocketEndPoint(Socket), null, CancellationToken.None));
        await client.AskAsync(CancellationToken.None, password is null ? ["PING"] : ["AUTH", password]);
        if ((await client.AskAsync(CancellationToken.None, "INFO", "persistence"))[0]!.Contains("loading:1", StringComparison.Ordinal))
        {
            client.Dispose();
            throw new ServerRefusalException("LOADING", "it reads its data");
        }

        return client;
    }

    private sealed class Lane(RedisClient client) : ILane
    {
        public async Task CommitAsync(int lane, long number)
        {
            await client.AskAsync(CancellationToken.None, "MULTI");
            await client.AskAsync(CancellationToken.None, "RPUSH", Key(lane), number.ToString(CultureInfo.InvariantCulture));
            await client.AskAsync(CancellationToken.None, "INCR", Key(lane) + ":count");
            await client.AskAsync(CancellationToken.None, "EXEC");
        }

        public void Dispose() => client.Dispose();
    }
}
