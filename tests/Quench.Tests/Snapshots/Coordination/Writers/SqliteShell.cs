using System.Diagnostics;
using Xunit;

namespace Quench.Tests.Snapshots.Coordination.Writers;

/// <summary>An application that keeps a database open.</summary>
internal sealed class SqliteShell : IDisposable
{
    private const string Done = "done";

    private readonly Process _shell;

    private SqliteShell(string database) => _shell = Process.Start(
        new ProcessStartInfo("sqlite3", ["-batch", "-bail", database]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;

    internal static async Task<SqliteShell> OpenAsync(string database)
    {
        SqliteShell shell = new(database);
        await shell.SayAsync("SELECT count(*) FROM t;");
        return shell;
    }

    /// <summary>Runs statements to their end; fails if one fails.</summary>
    internal async Task SayAsync(string statements)
    {
        await _shell.StandardInput.WriteLineAsync($"{statements} SELECT '{Done}';");
        string? line;
        while ((line = await _shell.StandardOutput.ReadLineAsync()) != Done)
        {
            Assert.True(line is not null, line is null ? await _shell.StandardError.ReadToEndAsync() : "");
        }
    }

    public void Dispose()
    {
        _shell.StandardInput.Close();
        _shell.WaitForExit();
        _shell.Dispose();
    }
}
