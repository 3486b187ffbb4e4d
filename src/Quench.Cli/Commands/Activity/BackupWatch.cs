using Quench.Imaging.Activity.Writers;
using Quench.Imaging.Sources;
using Quench.Snapshots.Writes;

namespace Quench.Cli.Commands.Activity;

/// <summary>Watches who writes to a volume while it is imaged. It writes nothing itself, so it may go on while the file system is frozen. Disposing ends it.</summary>
internal sealed class BackupWatch : IAsyncDisposable
{
    private readonly WriteWatch _watch;
    private readonly ActivityTally _tally = new();
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;
    private readonly TimeZoneInfo _zone;

    private BackupWatch(WriteWatch watch, TimeProvider clock)
    {
        _watch = watch;
        _zone = clock.LocalTimeZone;
        _running = WriteCollector.RunAsync(watch, duration: null, [_tally], clock, _end.Token);
    }

    /// <summary>Begins.</summary>
    /// <returns>Null for a source that nobody can write to meanwhile.</returns>
    /// <exception cref="Quench.Blocks.QuenchException">ACT-101 to ACT-103, SNAP-181: it can't be watched.</exception>
    public static BackupWatch? Start(ImagingSource source, CliHost host)
    {
        string? device = source switch
        {
            AttachedSource attached => attached.Volume.Device,
            MountedSource mounted => mounted.Volume.Device,
            _ => null,
        };
        return device is null ? null : new BackupWatch(WriteWatch.Start(WatchedVolume.Find(device), new WriteWatchOptions(), host.Clock), host.Clock);
    }

    /// <summary>Ends it, and says what it comes to.</summary>
    public async Task<ActivitySummary> EndAsync()
    {
        await _end.CancelAsync();
        await _running;
        return _tally.Summarise(_zone);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        _watch.Dispose();
        _end.Dispose();
    }
}
