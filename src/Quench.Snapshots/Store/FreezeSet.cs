using Quench.Blocks;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>The file systems of several volumes, frozen and thawed together. Each has its own guard, started before the first is frozen.</summary>
internal sealed class FreezeSet : IAsyncDisposable
{
    private readonly List<(AttachedVolume Volume, ThawGuard Guard)> _guards = [];
    private readonly List<FrozenFileSystem> _frozen = [];
    private QuenchException? _lost;

    /// <summary>How long the one was held that was held longest; zero before they are thawed.</summary>
    internal TimeSpan LongestHeld { get; private set; }

    /// <summary>Starts the guards of those volumes that are mounted.</summary>
    internal static async Task<FreezeSet> StartAsync(IReadOnlyList<AttachedVolume> volumes, CancellationToken cancellationToken)
    {
        FreezeSet set = new();
        try
        {
            foreach (AttachedVolume volume in volumes.OrderByDescending(volume => Depth(volume, volumes)))
            {
                if (volume.MountPoint is { } mountPoint)
                {
                    set._guards.Add((volume, await ThawGuard.StartAsync(mountPoint, cancellationToken)));
                }
            }

            return set;
        }
        catch
        {
            await set.DisposeAsync();
            throw;
        }
    }

    /// <summary>Freezes all of them. When one fails, those before it are thawed again by <see cref="DisposeAsync"/>.</summary>
    internal void Freeze(TimeSpan limit)
    {
        foreach ((AttachedVolume volume, ThawGuard guard) in _guards)
        {
            _frozen.Add(FrozenFileSystem.Freeze(volume.MountPoint!, guard, limit));
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

    /// <summary>Whether a volume's file system was frozen with the others.</summary>
    internal bool Holds(AttachedVolume volume) => _guards.Any(guard => guard.Volume == volume);

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

    /// <summary>How many volumes of the set lie below one: those above are frozen first, because freezing them writes to those below.</summary>
    private static int Depth(AttachedVolume volume, IReadOnlyList<AttachedVolume> all)
    {
        AttachedVolume? below = all.FirstOrDefault(other => other != volume && other.Holds(volume.Origin));
        return below is null ? 0 : 1 + Depth(below, all);
    }
}
