using System.Diagnostics;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>A load on each server and each SQLite database of the place.</summary>
internal sealed class Loads : IAsyncDisposable
{
    private const int LookMilliseconds = 5;

    private readonly List<LedgerLoad> _ledgers = [];
    private readonly List<SqliteWriter> _shells = [];
    private readonly List<(long Moment, long Journal, long Log)> _seen = []; // what the shells had acknowledged, from time to time
    private readonly Lock _gate = new();                                     // guards the list above
    private readonly Timer _look;

    private Loads() => _look = new Timer(_ => Look(), null, Timeout.Infinite, Timeout.Infinite);

    internal IReadOnlyList<LedgerLoad> Ledgers => _ledgers;

    /// <summary>How many transactions the SQLite shells can have begun by now: one more than is acknowledged, and one more for the answer that is on its way.</summary>
    internal (long Journal, long Log) SqliteBegan => (_shells[0].Committed + 2, _shells[1].Committed + 2);

    internal static async Task<Loads> StartAsync(ServersOnOneVolume place)
    {
        Loads loads = new();
        try
        {
            await loads.BeginAsync(place);
            return loads;
        }
        catch
        {
            await loads.DisposeAsync();
            throw;
        }
    }

    private async Task BeginAsync(ServersOnOneVolume place)
    {
        foreach (string database in (string[])[place.SqliteWithJournal, place.SqliteWithLog])
        {
            foreach (string suffix in (string[])["", "-wal", "-shm", "-journal"])
            {
                File.Delete(database + suffix);
            }
        }

        _shells.Add(SqliteWriter.Start(place.SqliteWithJournal, "delete"));
        _shells.Add(SqliteWriter.Start(place.SqliteWithLog, "wal"));
        foreach (TestServer server in place.Servers)
        {
            await server.ClearAsync();
            _ledgers.Add(await LedgerLoad.StartAsync(server));
        }

        _look.Change(0, LookMilliseconds);
        await MoreAsync(1);
    }

    /// <summary>What the shells had acknowledged for certain before a moment.</summary>
    internal (long Journal, long Log) SqliteBefore(long moment)
    {
        lock (_gate)
        {
            (_, long journal, long log) = _seen.Last(seen => seen.Moment < moment);
            return (journal, log);
        }
    }

    internal async Task MoreAsync(int count)
    {
        foreach (LedgerLoad ledger in _ledgers)
        {
            await ledger.MoreAsync(count);
        }

        foreach (SqliteWriter shell in _shells)
        {
            await shell.MoreAsync(1);
        }
    }

    /// <summary>Demands that each goes on within a time from now.</summary>
    internal async Task DemandAllGoOnAsync(TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        await Task.WhenAll([.. _ledgers.Select(ledger => ledger.MoreAsync(1)), .. _shells.Select(shell => shell.MoreAsync(1))]);
        TimeSpan took = Stopwatch.GetElapsedTime(since);
        Figures.Say($"all went on after {took.TotalMilliseconds:0} ms");
        Assert.True(took < limit, $"all went on after {took.TotalMilliseconds:0} ms only");
    }

    internal async Task StopAsync()
    {
        foreach (LedgerLoad ledger in _ledgers)
        {
            await ledger.StopAsync();
        }

        foreach (SqliteWriter shell in _shells)
        {
            shell.Stop();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _look.DisposeAsync();
        foreach (LedgerLoad ledger in _ledgers)
        {
            await ledger.DisposeAsync();
        }

        foreach (SqliteWriter shell in _shells)
        {
            shell.Dispose();
        }
    }

    private void Look()
    {
        lock (_gate)
        {
            (long journal, long log) = (_shells[0].Committed, _shells[1].Committed);
            _seen.Add((Stopwatch.GetTimestamp(), journal, log)); // the moment after the look: so much was acknowledged before it
        }
    }
}
