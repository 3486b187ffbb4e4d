using Quench.Snapshots.Coordination.Writers.MariaDb;
using Quench.Snapshots.Coordination.Writers.PostgreSql;
using Quench.Snapshots.Coordination.Writers.Redis;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.Tests.FileSystems;
using Xunit;
using static Quench.Tests.Snapshots.Coordination.Writers.ScriptedServer;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>The clients of the database servers against servers that are written down; the real ones are in the system tests.</summary>
public sealed class ClientTests
{
    private static readonly byte[] s_mariaDb =
    [
        // version 10, "10.11", connection 8, scramble, capabilities, character set, status, capabilities, length 21, filler, scramble, plugin
        .. Packet(0, [10, .. "10.11\0"u8, 8, 0, 0, 0, .. "\\qFGr(mp\0"u8, 0xFE, 0xF7, 8, 2, 0, 0xFF, 0x81, 0x15, 0, 0, 0, 0, 0, 0, 0x1D, 0, 0, 0, .. "kIgL)#tC/`uO\0mysql_native_password\0"u8]),
        .. Packet(2, [0xFE, .. "auth_socket\0"u8]), // another way of authentication
        .. Packet(4, [0, 0, 0, 2, 0, 0, 0]),        // let in
        .. Packet(1, [2]), .. Packet(2, [3, .. "def"u8]), .. Packet(3, [3, .. "def"u8]), .. Packet(4, [0xFE, 0, 0, 2, 0]),
        .. Packet(5, [5, .. "hello"u8, 0xFB]), .. Packet(6, [0xFC, 1, 0, .. "x"u8, 0]), .. Packet(7, [0xFE, 0, 0, 2, 0]),
        .. Packet(1, [0xFF, 0x32, 0x10, .. "#HY000You must start backup"u8]),
        .. Packet(1, [0, 0, 0, 2, 0, 0, 0]),
    ];

    private static readonly byte[] s_postgreSql =
    [
        .. Message('R', [0, 0, 0, 0]), .. Message('S', "server_version\x0015.18\0"u8), .. Message('K', [0, 0, 0, 1, 0, 0, 0, 2]), .. Message('Z', "I"u8),
        .. Message('T', [0, 2]), .. Message('D', [0, 2, 0, 0, 0, 5, .. "hello"u8, 0xFF, 0xFF, 0xFF, 0xFF]), .. Message('C', "SELECT 1\0"u8), .. Message('Z', "I"u8),
        .. Message('E', "SERROR\0C42501\0Mpermission denied\0\0"u8), .. Message('Z', "I"u8),
        .. Message('C', "SET\0"u8), .. Message('Z', "I"u8),
    ];

    private static readonly byte[] s_redis = Bytes("+OK\r\n$5\r\nhello\r\n*3\r\n$1\r\na\r\n$-1\r\n:7\r\n-NOAUTH Authentication required.\r\n+PONG\r\n");

    [Fact]
    public async Task A_conversation_with_a_MariaDB_server_is_understood() => await TalkToMariaDbAsync(s_mariaDb, demand: true);

    [Fact]
    public async Task A_conversation_with_a_PostgreSQL_server_is_understood() => await TalkToPostgreSqlAsync(s_postgreSql, demand: true);

    [Fact]
    public async Task A_conversation_with_a_Redis_server_is_understood() => await TalkToRedisAsync(s_redis, demand: true);

    [Fact]
    public async Task A_server_that_talks_nonsense_is_told_as_such_and_nothing_else_happens()
    {
        Random random = TestSeed.NewRandom();
        int rounds = Knob.Number("QUENCH_FUZZ_ROUNDS", 400) * 5;
        for (int round = 0; round < rounds; round++)
        {
            await EndsInOrderAsync(TalkToMariaDbAsync(Changed(s_mariaDb, random), demand: false));
            await EndsInOrderAsync(TalkToPostgreSqlAsync(Changed(s_postgreSql, random), demand: false));
            await EndsInOrderAsync(TalkToRedisAsync(Changed(s_redis, random), demand: false));
        }
    }

    [Fact]
    public async Task A_server_that_announces_more_than_it_may_send_is_not_waited_for()
    {
        byte[] endless = Message('R', [0, 0, 0, 0]);
        endless[1] = 0x7F;
        await Assert.ThrowsAsync<ProtocolException>(() => TalkToPostgreSqlAsync(endless, demand: false));
        await Assert.ThrowsAsync<ProtocolException>(() => TalkToRedisAsync(Bytes("$2000000000\r\n"), demand: false));
        await Assert.ThrowsAsync<ProtocolException>(() => TalkToRedisAsync(new byte[ServerLine.LongestPiece + 10_000], demand: false));
    }

    /// <summary>The example of RFC 7677 §3.</summary>
    [Fact]
    public void A_password_is_proved_as_the_specification_shows_it()
    {
        ScramExchange exchange = new("user", "pencil", "rOprNGfwEbeRWgbNEkqO");
        Assert.Equal("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", exchange.First);
        Assert.Equal(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            exchange.Answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        exchange.Check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        Assert.Throws<ProtocolException>(() => exchange.Check("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    [Theory]
    [InlineData("r=somebody,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=mineAndTheirs,s=???,i=4096")]
    [InlineData("r=mineAndTheirs,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000")]
    [InlineData("e=other-error")]
    public void A_password_challenge_that_is_none_is_refused(string challenge) =>
        Assert.Throws<ProtocolException>(() => new ScramExchange("", "pencil", "mine").Answer(challenge));

    [Theory]
    [InlineData("10.11.19-MariaDB-0+deb12u1", true)]
    [InlineData("5.5.5-10.4.1-MariaDB", false)]
    [InlineData("10.4.0-MariaDB", false)]
    [InlineData("11.4.2-MariaDB-log", true)]
    [InlineData("8.0.36-0ubuntu0.22.04.1", false)]
    public void Backup_stages_are_expected_of_the_versions_that_have_them(string version, bool has) => Assert.Equal(has, MariaDbWriter.HasBackupStages(version));

    private static async Task TalkToMariaDbAsync(byte[] words, bool demand)
    {
        using MariaDbClient client = await MariaDbClient.LogInAsync(new ServerLine(new ScriptedServer(words)), "root", "secret", CancellationToken.None);
        IReadOnlyList<string?[]> rows = await client.QueryAsync("SELECT", CancellationToken.None);
        ServerRefusalException? refusal = await RefusalAsync(client.QueryAsync("BACKUP STAGE END", CancellationToken.None).AsTask());
        IReadOnlyList<string?[]> none = await client.QueryAsync("SET", CancellationToken.None);
        if (demand)
        {
            Assert.Equal([["hello", null], ["x", ""]], rows);
            Assert.Equal("You must start backup (4146)", refusal!.Message);
            Assert.Empty(none);
        }
    }

    private static async Task TalkToPostgreSqlAsync(byte[] words, bool demand)
    {
        using PostgreSqlClient client = await PostgreSqlClient.LogInAsync(new ServerLine(new ScriptedServer(words)), "postgres", "postgres", "secret", CancellationToken.None);
        IReadOnlyList<string?[]> rows = await client.QueryAsync("SELECT", CancellationToken.None);
        ServerRefusalException? refusal = await RefusalAsync(client.QueryAsync("CHECKPOINT", CancellationToken.None).AsTask());
        IReadOnlyList<string?[]> none = await client.QueryAsync("SET", CancellationToken.None);
        if (demand)
        {
            Assert.Equal([["hello", null]], rows);
            Assert.Equal("42501", refusal!.Code);
            Assert.Empty(none);
        }
    }

    private static async Task TalkToRedisAsync(byte[] words, bool demand)
    {
        using RedisClient client = new(new ServerLine(new ScriptedServer(words)));
        List<string?> answers = [.. await client.AskAsync(CancellationToken.None, "AUTH", "secret"), .. await client.AskAsync(CancellationToken.None, "GET", "k")];
        answers.AddRange(await client.AskAsync(CancellationToken.None, "LRANGE", "l", "0", "-1"));
        ServerRefusalException? refusal = await RefusalAsync(client.AskAsync(CancellationToken.None, "INFO").AsTask());
        answers.AddRange(await client.AskAsync(CancellationToken.None, "PING"));
        if (demand)
        {
            Assert.Equal(["OK", "hello", "a", null, "7", "PONG"], answers);
            Assert.Equal("NOAUTH", refusal!.Code);
        }
    }

    private static async Task<ServerRefusalException?> RefusalAsync(Task asked)
    {
        try
        {
            await asked;
            return null;
        }
        catch (ServerRefusalException refusal)
        {
            return refusal;
        }
    }

    private static async Task EndsInOrderAsync(Task conversation)
    {
        try
        {
            await conversation;
        }
        catch (Exception failure) when (failure is ProtocolException or ServerRefusalException)
        {
            // The two ways in which a client may fail; any other fails the test.
        }
    }

    private static byte[] Changed(byte[] words, Random random)
    {
        byte[] changed = [.. words.AsSpan(0, random.Next(4) == 0 ? random.Next(words.Length) : words.Length)];
        for (int change = random.Next(1, 4); change > 0 && changed.Length > 0; change--)
        {
            changed[random.Next(changed.Length)] = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)(0xF8 + random.Next(8));
        }

        return changed;
    }
}
