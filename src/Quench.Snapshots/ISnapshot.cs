using Quench.Blocks;

namespace Quench.Snapshots;

/// <summary>How much quiet the instant had. A point carries what really happened, never what was planned.</summary>
public enum SnapshotGrade
{
    /// <summary>As after a power cut at the instant: the file system's journal has work to do.</summary>
    Crash,

    /// <summary>The file system was flushed and frozen at the instant: clean metadata, no application was asked.</summary>
    FileSystem,

    /// <summary>Besides, the applications on it held their writes over the instant, and confirmed it.</summary>
    Application,
}

/// <summary>How full a snapshot's diff area is. Sizes are bytes of saved old blocks.</summary>
/// <param name="UsedBytes">Now.</param>
/// <param name="CapBytes">The most it may hold; 0 when the provider keeps none.</param>
/// <param name="PeakBytes">The most it has held.</param>
/// <param name="IsNearlyFull">Past the high mark: image the saved extents first.</param>
/// <param name="BrokenReason">Why the snapshot can no longer be read; null while it is sound.</param>
public readonly record struct DiffAreaStatus(long UsedBytes, long CapBytes, long PeakBytes, bool IsNearlyFull, string? BrokenReason);

/// <summary>
/// One volume at one instant, whoever holds it. The requestor reads it, says which blocks matter and which it has imaged;
/// disposing lets go of the instant. Imaging never learns which provider is behind it.
/// </summary>
/// <remarks>Thread-safe. A read of a block that was released, or of a broken snapshot, throws; it never answers other bytes.</remarks>
public interface ISnapshot : IAsyncDisposable
{
    /// <summary>The volume as the user named it.</summary>
    string Volume { get; }

    /// <summary>The provider's name: "filter", "cold".</summary>
    string Provider { get; }

    /// <summary>The moment that the snapshot shows.</summary>
    DateTimeOffset Instant { get; }

    /// <summary>How much quiet that moment had.</summary>
    SnapshotGrade Grade { get; }

    /// <summary>How long the file system's writers were held; null when nothing was frozen.</summary>
    TimeSpan? FreezeTime { get; }

    /// <summary>What taking and keeping it has taken, beside the limits; complete once it is disposed. Null where nothing is limited.</summary>
    SnapshotTimes? Times => null;

    /// <summary>The volume at the instant. Owned by the snapshot.</summary>
    IBlockReader Reader { get; }

    /// <summary>
    /// Keeps the promise for these blocks only: nobody will ask for the rest, because it was not in use at the instant or has not changed since a point that
    /// holds it, and it reads as zeros from now on. May be called again, with fewer blocks.
    /// </summary>
    /// <param name="used">The blocks that matter; rounded out to the provider's blocks.</param>
    /// <param name="cancellationToken">Stops between steps; a promise half shrunk is still a true one.</param>
    ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken);

    /// <summary>Says that an extent has been imaged: it will not be read again, and its saved blocks are freed at once.</summary>
    ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken);

    /// <summary>
    /// Completes when the snapshot breaks, at once and not only when somebody looks; otherwise never, until it is cancelled. One caller at a time. Where a snapshot can't
    /// break, nothing needs to be done.
    /// </summary>
    /// <param name="cancellationToken">Ends the watch.</param>
    /// <returns>How the diff area stood, with the reason.</returns>
    async Task<DiffAreaStatus> WaitUntilBrokenAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        return default;
    }

    /// <summary>How full the diff area is. Cheap enough to ask once a megabyte.</summary>
    ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken);

    /// <summary>The extents whose old bytes lie in the diff area now, in order: what to image first when it is nearly full.</summary>
    /// <param name="limit">The most extents to answer.</param>
    /// <param name="cancellationToken">Gives up.</param>
    ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken);
}
