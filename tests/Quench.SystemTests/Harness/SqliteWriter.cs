using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace Quench.SystemTests.Harness;

/// <summary>The sqlite3 shell, told one transaction after the other; it answers each number when it is committed and durable.</summary>
internal sealed class SqliteWriter : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly Process _shell;
    private readonly Thread _thread;
    private readonly object _gate = new(); // guards the three below
    private long _committed;
    private bool _stopping;
    private Exception? _failure;

    private SqliteWriter(Process shell)
    {
        _shell = shell;
        _thread = new Thread(Run) { IsBackground = true, Name = "sqlite" };
        _thread.Start();
    }

    internal long Committed
    {
        get
        {
            lock (_gate)
            {
                return _committed;
            }
        }
    }

    internal static SqliteWriter Start(string database, string journal)
    {
        ProcessStartInfo start = new("sqlite3", ["-batch", "-bail", database])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        Process shell = Process.Start(start)!;
        shell.StandardInput.WriteLine(".timeout 60000"); // it waits for whoever holds the database
        shell.StandardInput.WriteLine($"PRAGMA journal_mode={journal}; PRAGMA synchronous=FULL;");
        shell.StandardInput.WriteLine("CREATE TABLE account(id INTEGER PRIMARY KEY, amount INTEGER); CREATE TABLE entry(k INTEGER PRIMARY KEY, note BLOB);");
        shell.StandardInput.WriteLine("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99) INSERT INTO account SELECT i, 0 FROM n;");
        return new SqliteWriter(shell);
    }

    /// <summary>Opens a database as an application would after a power cut, where it may write, and demands that it is whole.</summary>
    /// <returns>How many transactions are in it.</returns>
    internal static async Task<long> CountWholeAsync(string database)
    {
        Assert.Equal("ok", (await Tool.RunAsync("sqlite3", database, "PRAGMA integrity_check;")).Trim());
        string sums = await Tool.RunAsync("sqlite3", database, "SELECT count(*), max(k), (SELECT sum(amount) FROM account) FROM entry;");
        string[] parts = sums.Trim().Split('|');
        Assert.Equal(parts[0], parts[1]); // no transaction is missing in between
        Assert.Equal("0", parts[2]);      // each transaction moves an amount: none is there by half
        return long.Parse(parts[0], CultureInfo.InvariantCulture);
    }

    internal Task MoreAsync(long transactions) => Task.Run(() =>
    {
        lock (_gate)
        {
            long target = _committed + transactions;
            while (_committed < target)
            {
                if (_failure is not null || !Monitor.Wait(_gate, s_limit))
                {
                    throw new IOException($"sqlite3 stopped after transaction {_committed}", _failure);
                }
            }
        }
    });

    internal void Stop()
    {
        Dispose();
        if (_failure is not null)
        {
            throw new IOException("sqlite3 failed", _failure);
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _stopping = true;
        }

        _thread.Join();
        if (!_shell.HasExited)
        {
            _shell.StandardInput.Close();
            _shell.WaitForExit();
        }
    }

    private void Run()
    {
        try
        {
            for (long k = 1; !IsStopping(); k++)
            {
                _shell.StandardInput.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"BEGIN IMMEDIATE; INSERT INTO entry VALUES({k}, randomblob({k * 37 % 3000})); UPDATE account SET amount = amount - {k} WHERE id = {k % 100}; UPDATE account SET amount = amount + {k} WHERE id = {k * 7 % 100}; COMMIT; SELECT 'k{k}';"));
                _shell.StandardInput.Flush();
                WaitFor($"k{k}");
                Acknowledge(k);
            }
        }
        catch (IOException failure)
        {
            lock (_gate)
            {
                _failure = failure;
                Monitor.PulseAll(_gate);
            }
        }
    }

    private void WaitFor(string answer)
    {
        string? line;
        do
        {
            line = _shell.StandardOutput.ReadLine() ?? throw new IOException("sqlite3 has ended");
        }
        while (line != answer);
    }

    private bool IsStopping()
    {
        lock (_gate)
        {
            return _stopping;
        }
    }

    private void Acknowledge(long k)
    {
        lock (_gate)
        {
            _committed = k;
            Monitor.PulseAll(_gate);
        }
    }
}
