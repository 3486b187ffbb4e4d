using Quench.Blocks;

namespace Quench.Snapshots.Coordination;

/// <summary>Several file systems, frozen and thawed together. Each has its own guard, started before the first is frozen.</summary>
internal sealed class FreezeSet : IAsyncDisposable
{
    private readonly List<(string MountPoint, ThawGuard Guard)> _guards = [];
    private readonly List<FrozenFileSystem> _frozen = [];
    private QuenchException? _lost;

    /// <summary>How long the one was held that was held longest; zero before they are thawed.</summary>
    internal TimeSpan LongestHeld { get; private set; }

    /// <summary>Volumes in the order of freezing: those above others come first, because freezing them writes to those below.</summary>
    /// <param name="volumes">Each once.</param>
    /// <param name="liesOn">Whether the first is a file on the second.</param>
    internal static IEnumerable<T> InOrder<T>(IReadOnlyList<T> volumes, Func<T, T, bool> liesOn)
        where T : class
    {
        return volumes.OrderByDescending(Depth);

        int Depth(T volume)
        {
            T? below = volumes.FirstOrDefault(other => other != volume && liesOn(volume, other));
            return below is null ? 0 : 1 + Depth(below);
        }
    }

    /// <summary>Starts the guards.</summary>
    /// <param name="mountPoints">In the order of freezing.</param>
    /// <param name="cancellationToken">Gives up; nothing has been frozen.</param>
    /// <exception cref="QuenchException">SNAP-122: a guard did not come up.</exception>
    internal static async Task<FreezeSet> StartAsync(IEnumerable<string> mountPoints, CancellationToken cancellationToken)
    {
        FreezeSet set = new();
        try
        {
            foreach (string mountPoint in mountPoints)
            {
                set._guards.Add((mountPoint, await ThawGuard.StartAsync(mountPoint, cancellationToken)));
            }

            return set;
        }
        catch
        {
            await set.DisposeAsync();
            throw;
        }
    }

    /// <summary>Freezes all of them. When one fails, those before it are thawed again by <see cref="ThawQuietly"/> or <see cref="DisposeAsync"/>.</summary>
    /// <exception cref="QuenchException">SNAP-120.</exception>
    internal void Freeze(TimeSpan limit)
    {
        foreach ((string mountPoint, ThawGuard guard) in _guards)
        {
            _frozen.Add(FrozenFileSystem.Freeze(mountPoint, guard, limit));
        }
    }

    /// <summary>Thaws all of them, the last one frozen first, and remembers whether a freeze had been lost before.</summary>
    internal void ThawQuietly()
    {
        for (int index = _frozen.Count - 1; index >= 0; index--)
        {
            try
            {
                TimeSpan held = _frozen[index].Thaw();
                LongestHeld = held > LongestHeld ? held : LongestHeld;
            }
            catch (QuenchException failure)
            {
                _lost ??= failure; // the others must be thawed first
            }
        }
    }

    /// <summary>Throws what <see cref="ThawQuietly"/> had to keep back.</summary>
    /// <exception cref="QuenchException">SNAP-121.</exception>
    internal void DemandHeld()
    {
        if (_lost is { } lost)
        {
            throw lost;
        }
    }

    /// <summary>Whether a file system is frozen with the others.</summary>
    internal bool Holds(string mountPoint) => _guards.Any(guard => guard.MountPoint == mountPoint);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        for (int index = _frozen.Count - 1; index >= 0; index--)
        {
            _frozen[index].Dispose();
        }

        foreach ((_, ThawGuard guard) in _guards)
        {
            guard.Dispose();
        }

        return ValueTask.CompletedTask;
    }
}
