using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Quench.Snapshots.Coordination;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>
/// The writers that are built in, against the real servers under load. QUENCH_WRITER_ROUNDS: how many hot backups of all of them; QUENCH_WRITER_KILLS: how often a process that holds them is
/// killed.
/// </summary>
public sealed class WriterTests(ServersOnOneVolume place) : IClassFixture<ServersOnOneVolume>
{
    /// <summary>A lease of Redis' pause is a second, a server notices the end of a connection at once; the rest is the machine's load.</summary>
    private static readonly TimeSpan s_letGo = TimeSpan.FromSeconds(1 + 0.25);

    private static readonly int s_rounds = Chance.Count("QUENCH_WRITER_ROUNDS", 1);
    private static readonly int s_kills = Chance.Count("QUENCH_WRITER_KILLS", 2);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_copy_holds_what_was_acknowledged_before_the_instant_and_nothing_that_began_after()
    {
        await place.StartAsync();
        List<(string Writer, double Milliseconds)> held = [];
        List<double> froze = [];
        for (int round = 0; round < s_rounds; round++)
        {
            await RunRoundAsync(held, froze);
        }

        foreach (IGrouping<string, double> writer in held.GroupBy(entry => entry.Writer, entry => entry.Milliseconds))
        {
            Figures.Say(string.Create(
                CultureInfo.InvariantCulture,
                $"{writer.Key}: held p50 {Figures.Percentile([.. writer], 0.5):0} ms, p99 {Figures.Percentile([.. writer], 0.99):0} ms, of {writer.Count()} hot backups"));
        }

        Figures.Say(string.Create(CultureInfo.InvariantCulture, $"file system frozen p50 {Figures.Percentile(froze, 0.5):0.0} ms, p99 {Figures.Percentile(froze, 0.99):0.0} ms"));
    }

    [Fact]
    public async Task A_backup_from_the_command_line_is_of_application_grade_and_its_restored_databases_start()
    {
        await place.StartAsync();
        QuenchCli cli = await QuenchCli.WithNewVaultAsync(place.Folder["vault"]);
        await using Loads loads = await Loads.StartAsync(place);
        await loads.MoreAsync(20);
        await using WriterDrive drive = await WriterDrive.FindAsync(place.Volume.MountPoint, place.SqliteSetting);
        await drive.IdentifyAsync();
        (string name, string databases) = place.SqliteSetting;
        long before = Stopwatch.GetTimestamp();
        JsonElement summary = await cli.BackupAsync(place.Volume.Name, "--writer-option", $"{name}={databases}", "--require", "application");
        long after = Stopwatch.GetTimestamp();
        (long Journal, long Log) sqliteBegan = loads.SqliteBegan;
        await loads.StopAsync();
        Assert.Equal("application", summary.GetProperty("grade").GetString());

        string point = summary.GetProperty("point").GetString()!;
        IEnumerable<WriterComponent> components = drive.Metadata.Values.SelectMany(metadata => metadata.Components);
        await using RestoredCopy copy = await RestoredCopy.MakeAsync(image => cli.RunAsync("restore", point, image, "--yes"), components, place.Volume.MountPoint);
        await JudgeAsync(copy, loads, before, after, sqliteBegan);
        JsonElement without = await cli.BackupAsync(place.Volume.Name, "--no-writers");
        Assert.Equal("file-system", without.GetProperty("grade").GetString());
    }

    [Fact]
    public async Task A_hold_ends_with_the_process_that_took_it()
    {
        await place.StartAsync();
        await using Loads loads = await Loads.StartAsync(place);
        Random chance = new(Chance.Seeds(1).Single());
        for (int kill = 0; kill < s_kills; kill++)
        {
            using Process holder = StartHolder();
            await holder.StandardOutput.ReadLineAsync(Stop); // it begins
            if (kill == 0)
            {
                string? word = await holder.StandardOutput.ReadLineAsync(Stop);
                Assert.True(word == "holds", word ?? await holder.StandardError.ReadToEndAsync(Stop)); // which ends when it has
            }
            else
            {
                await Task.WhenAny(holder.WaitForExitAsync(Stop), Task.Delay(chance.Next(400), Stop)); // any moment of its work
            }

            holder.Kill();
            await holder.WaitForExitAsync(Stop);
            await loads.DemandAllGoOnAsync(s_letGo);
        }

        await loads.StopAsync();
    }

    [Fact]
    public async Task A_hold_ends_by_itself_at_its_limit()
    {
        await place.StartAsync();
        await using Loads loads = await Loads.StartAsync(place);
        await using WriterDrive drive = await WriterDrive.FindAsync(place.Volume.MountPoint, place.SqliteSetting);
        TimeSpan limit = TimeSpan.FromSeconds(3); // long enough to freeze all of them one after the other on a busy machine
        await drive.FreezeAsync(place.Volume.MountPoint, limit);
        await loads.DemandAllGoOnAsync(limit + s_letGo); // let go in a quarter of a second; and then each must commit and sync once, on one disk
        Assert.All(await drive.ThawAsync(), answer => Assert.False(answer.Value.IsHeld, answer.Key));
        await loads.StopAsync();
    }

    [Fact]
    public async Task A_writer_that_is_not_let_in_says_so_and_its_server_goes_on()
    {
        await place.StartAsync();
        await place.PostgreSql.AskAsync("DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN PASSWORD 'right'");
        await place.MariaDb.AskAsync("CREATE OR REPLACE USER weak@localhost IDENTIFIED BY 'right'");
        await using Loads loads = await Loads.StartAsync(place);
        await File.WriteAllTextAsync(place.Folder["right"], "right\n", Stop);
        await File.WriteAllTextAsync(place.Folder["wrong"], "wrong\n", Stop);
        Assert.Contains("password authentication failed", await RefusalAsync("PostgreSQL", place.PostgreSql.Data, "postgresql", "wrong"), StringComparison.Ordinal);
        Assert.Contains("data_directory", await RefusalAsync("PostgreSQL", place.PostgreSql.Data, "postgresql", "right"), StringComparison.Ordinal);
        Assert.Contains("Access denied for user", await RefusalAsync("MariaDB", place.MariaDb.Data, "mariadb", "wrong"), StringComparison.Ordinal);
        Assert.Contains("privilege", await RefusalAsync("MariaDB", place.MariaDb.Data, "mariadb", "right"), StringComparison.Ordinal);
        await loads.DemandAllGoOnAsync(s_letGo);
        await loads.StopAsync();
    }

    [Fact]
    public async Task Few_rights_are_enough()
    {
        await place.StartAsync();
        await place.PostgreSql.AskAsync("DROP ROLE IF EXISTS able; CREATE ROLE able LOGIN PASSWORD 'right'; GRANT pg_read_all_settings TO able");
        await place.MariaDb.AskAsync("CREATE OR REPLACE USER able@localhost IDENTIFIED BY 'right'");
        await place.MariaDb.AskAsync("GRANT RELOAD, PROCESS ON *.* TO able@localhost");
        string right = place.Folder["right"];
        await File.WriteAllTextAsync(right, "right\n", Stop);
        (string, string)[] settings = [("postgresql.user", "able"), ("postgresql.password-file", right), ("mariadb.user", "able"), ("mariadb.password-file", right)];
        await using WriterDrive drive = await WriterDrive.FindAsync(place.Volume.MountPoint, settings);
        await drive.FreezeAsync(place.Volume.MountPoint, TimeSpan.FromSeconds(10));
        Assert.All(await drive.ThawAsync(), answer => Assert.True(answer.Value.IsHeld, $"{answer.Key}: {answer.Value.Reason}"));
    }

    [Fact]
    public async Task A_redis_server_with_a_password_lets_in_only_who_knows_it()
    {
        await place.StartAsync();
        string data = Path.Combine(place.Volume.MountPoint, "redis-locked");
        await using RedisServer locked = new(data, place.Folder["rl"], appends: true, password: "secret");
        await locked.MakeAsync();
        await locked.StartAsync();
        await File.WriteAllTextAsync(place.Folder["secret"], "secret\n", Stop);
        await using WriterDrive stranger = await WriterDrive.FindAsync(place.Volume.MountPoint);
        WriterException refusal = await Assert.ThrowsAsync<WriterException>(() => stranger.Find("Redis", data).IdentifyAsync(Stop).AsTask());
        Assert.Contains("NOAUTH", refusal.Message, StringComparison.Ordinal);
        await using WriterDrive friend = await WriterDrive.FindAsync(place.Volume.MountPoint, ("redis.password-file", place.Folder["secret"]));
        Assert.Null((await friend.Find("Redis", data).IdentifyAsync(Stop)).CannotHold);
    }

    [Fact]
    public async Task A_part_of_a_database_on_a_volume_that_is_not_taken_is_said()
    {
        await place.StartAsync();
        string elsewhere = place.Folder.MakeFolder("tablespace");
        await Tool.RunAsync("chown", "postgres:", elsewhere);
        await place.PostgreSql.AskAsync($"CREATE TABLESPACE far LOCATION '{elsewhere}'");
        try
        {
            await using WriterDrive drive = await WriterDrive.FindAsync(place.Volume.MountPoint);
            WriterMetadata metadata = await drive.Find("PostgreSQL", place.PostgreSql.Data).IdentifyAsync(Stop);
            Assert.Contains(elsewhere, metadata.CannotHold, StringComparison.Ordinal);
            Assert.Contains(metadata.Components.Single().Files, files => files.Folder == elsewhere);
        }
        finally
        {
            await place.PostgreSql.AskAsync("DROP TABLESPACE far");
        }
    }

    private async Task RunRoundAsync(List<(string Writer, double Milliseconds)> held, List<double> froze)
    {
        await using Loads loads = await Loads.StartAsync(place);
        await loads.MoreAsync(60);
        await using WriterDrive drive = await WriterDrive.FindAsync(place.Volume.MountPoint, place.SqliteSetting);
        Assert.Equal(6, drive.Count);
        TakenInstant taken = await drive.TakeAsync(place.Volume);
        (long journalBegan, long logBegan) = loads.SqliteBegan;
        await loads.MoreAsync(20);
        await loads.StopAsync();
        froze.Add(taken.Snapshot.FreezeTime!.Value.TotalMilliseconds);
        held.AddRange(drive.Held.Select(writer => (Kind(writer.Key), writer.Value.TotalMilliseconds)));
        Assert.Contains(drive.Documents, document => document.Name == "wal_position");
        Assert.Contains(drive.Documents, document => document.Name == "binlog_position");

        await using (taken.Snapshot)
        {
            IEnumerable<WriterComponent> components = drive.Metadata.Values.SelectMany(metadata => metadata.Components);
            await using RestoredCopy copy = await RestoredCopy.MakeAsync(taken.Snapshot, components, place.Volume.MountPoint);
            await JudgeAsync(copy, loads, taken.Before, taken.After, (journalBegan, logBegan));
        }
    }

    private async Task JudgeAsync(RestoredCopy copy, Loads loads, long before, long after, (long Journal, long Log) sqliteBegan)
    {
        foreach ((TestServer server, LedgerLoad load) in place.Servers.Zip(loads.Ledgers))
        {
            Figures.Say($"{Path.GetFileName(server.Data)}: {await JudgeAsync(server, copy, load, before, after)}");
        }

        (long journal, long log) = loads.SqliteBefore(before);
        await JudgeAsync(copy, place.SqliteWithJournal, journal, sqliteBegan.Journal);
        await JudgeAsync(copy, place.SqliteWithLog, log, sqliteBegan.Log);
    }

    /// <summary>Starts a server on the copy, as after a restore.</summary>
    private async Task<string> JudgeAsync(TestServer live, RestoredCopy copy, LedgerLoad load, long before, long after)
    {
        string data = copy.MountPoint + live.Data[place.Volume.MountPoint.Length..];
        await using TestServer server = live.Over(data, copy.RunFolder(Path.GetFileName(live.Run)));
        await server.CheckFilesAsync();
        await server.StartAsync();
        await server.CheckAsync();
        string words = load.Demand(await server.ReadAsync(), before, after);
        await server.StopAsync();
        return words;
    }

    private async Task JudgeAsync(RestoredCopy copy, string database, long promised, long possible)
    {
        string restored = copy.MountPoint + database[place.Volume.MountPoint.Length..];
        Assert.False(File.Exists(restored + "-journal"), "nothing is to be rolled back: no transaction was under way");
        Assert.InRange(await SqliteWriter.CountWholeAsync(restored), promised, possible);
    }

    private async Task<string> RefusalAsync(string name, string folder, string source, string password)
    {
        await using WriterDrive drive = await WriterDrive.FindAsync(
            place.Volume.MountPoint, ($"{source}.user", "weak"), ($"{source}.password-file", place.Folder[password]));
        WriterException refusal = await Assert.ThrowsAsync<WriterException>(() => drive.Find(name, folder).IdentifyAsync(Stop).AsTask());
        Assert.Equal(WriterError.NonRetryable, refusal.Error);
        return refusal.Message;
    }

    private Process StartHolder()
    {
        ProcessStartInfo start = new(Environment.ProcessPath!, WriterHolder.Words(place.Volume.MountPoint, WriterHolder.LongestHold, place.SqliteSetting))
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    private static string Kind(string identity) => identity[..identity.IndexOf(" (", StringComparison.Ordinal)];
}
