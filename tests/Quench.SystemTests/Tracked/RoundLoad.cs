using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Tracked;

/// <summary>Whatever writes to a round's volume beside the stamps.</summary>
internal sealed class RoundLoad : IAsyncDisposable
{
    private const string Ledger = "ledger.db";
    private const int Megabytes = 48;

    private readonly string _mountPoint;
    private Load? _fio;
    private Churn? _churn;
    private SqliteWriter? _database;

    private RoundLoad(string mountPoint) => _mountPoint = mountPoint;

    /// <summary>Transactions that are durable; 0 where the load is no database.</summary>
    internal long Committed => _database?.Committed ?? 0;

    /// <summary>Starts it and waits until it writes.</summary>
    internal static async Task<RoundLoad> StartAsync(TrackedRoundPlan plan, MountedLoop loop)
    {
        RoundLoad load = new(loop.MountPoint);
        if (plan.Load == LoadKind.Discard)
        {
            load._churn = new Churn(loop.MountPoint, plan.Rate, new Random(plan.Seed), trims: plan.Kind == VolumeKind.Ext4);
            return load;
        }

        load._fio = Load.Start(loop.MountPoint, plan.Load, Megabytes, plan.Rate);
        await Wait.UntilAsync(() => File.Exists(Path.Combine(loop.MountPoint, "load")), TimeSpan.FromSeconds(30), "the load has begun");
        if (plan.Load == LoadKind.Sqlite)
        {
            load._database = SqliteWriter.Start(Path.Combine(loop.MountPoint, Ledger), plan.Journal);
            await load._database.MoreAsync(10);
        }

        return load;
    }

    /// <summary>A load that died has shown nothing.</summary>
    internal async Task DemandRunningAsync()
    {
        Assert.True(_fio?.IsRunning ?? _churn!.IsRunning, "the load died");
        if (_database is not null)
        {
            await _database.MoreAsync(1);
        }
    }

    /// <summary>Copies the database out of a mounted image, where nothing may be written, and demands that it is whole and of the right moment.</summary>
    internal async Task<string> CheckAsync(string mountPoint, string scratch, long committedBefore, long committedAfter)
    {
        if (_database is null)
        {
            return "";
        }

        foreach (string file in Directory.EnumerateFiles(mountPoint, Ledger + "*"))
        {
            File.Copy(file, Path.Combine(scratch, Path.GetFileName(file)), overwrite: true);
        }

        long inImage = await SqliteWriter.CountWholeAsync(Path.Combine(scratch, Ledger));
        Assert.InRange(inImage, committedBefore, committedAfter);
        return $" transactions={inImage}";
    }

    /// <summary>Stops it; throws what the volume did to it.</summary>
    internal async Task StopAsync()
    {
        _database?.Stop();
        await DisposeAsync();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _database?.Dispose();
        if (_fio is not null)
        {
            await _fio.DisposeAsync();
        }

        if (_churn is not null)
        {
            await _churn.DisposeAsync();
        }

        (_fio, _churn) = (null, null);
    }
}
