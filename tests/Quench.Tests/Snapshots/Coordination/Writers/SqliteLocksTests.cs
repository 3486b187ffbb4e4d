using Quench.Snapshots.Coordination.Writers.Sqlite;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>The locks of an SQLite file, against SQLite itself.</summary>
public sealed class SqliteLocksTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    private string Database => _directory["a.db"];

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("delete", false)]
    [InlineData("delete", true)]
    [InlineData("wal", false)]
    [InlineData("wal", true)]
    public async Task A_database_that_is_held_can_be_read_and_not_written(string journal, bool isOpen)
    {
        await MakeAsync(journal);
        using SqliteShell? user = isOpen ? await SqliteShell.OpenAsync(Database) : null;
        using (SqliteLocks locks = SqliteLocks.Open(Database))
        {
            Assert.True(locks.TryTake());
            locks.Sync();
            Assert.Contains("database is locked", (await Tool.RunAsync("sqlite3", Database, "INSERT INTO t VALUES (2);")).Output, StringComparison.Ordinal);
            if (journal == "delete" || isOpen)
            {
                Assert.Equal("1\n", await Tool.DemandAsync("sqlite3", Database, "SELECT count(*) FROM t;"));
            }

            Assert.True(locks.IsStillThere);
        }

        await Tool.DemandAsync("sqlite3", Database, "INSERT INTO t VALUES (3);");
    }

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public async Task A_database_that_is_being_written_is_not_held_until_the_transaction_ends(string journal)
    {
        await MakeAsync(journal);
        using SqliteShell user = await SqliteShell.OpenAsync(Database);
        using SqliteLocks locks = SqliteLocks.Open(Database);
        await user.SayAsync("BEGIN IMMEDIATE; INSERT INTO t VALUES (2);");
        Assert.False(locks.TryTake());
        await user.SayAsync("COMMIT;"); // not hindered by the attempt
        Assert.True(locks.TryTake());
    }

    [Fact]
    public async Task A_database_that_was_replaced_is_noticed()
    {
        await MakeAsync("delete");
        using SqliteLocks locks = SqliteLocks.Open(Database);
        Assert.True(locks.TryTake());
        File.Delete(Database);
        await MakeAsync("delete");
        Assert.False(locks.IsStillThere);
    }

    [Fact]
    public void What_is_no_database_is_known_by_its_header()
    {
        File.WriteAllText(Database, new string('x', 200));
        Assert.False(SqliteLocks.IsDatabase(Database));
    }

    private async Task MakeAsync(string journal)
    {
        Requires.Tool("sqlite3");
        await Tool.DemandAsync("sqlite3", Database, $"PRAGMA journal_mode={journal}; CREATE TABLE t(x); INSERT INTO t VALUES (1);");
        Assert.True(SqliteLocks.IsDatabase(Database));
    }
}
