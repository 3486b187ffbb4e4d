using Quench.Blocks;

namespace Quench.Snapshots;

/// <summary>
/// What a provider that watches writes knows of the time before a snapshot: which bytes can differ between a recovery point that was made of the
/// volume earlier and the snapshot's instant. A snapshot whose provider can tell implements it beside <see cref="ISnapshot"/>.
/// </summary>
/// <remarks>Thread-safe. An answer may name more than has changed, never less: whoever can't be certain says so in <see cref="VolumeChanges.Doubt"/>.</remarks>
public interface IChangeHistory
{
    /// <summary>What may have changed since the point that was last remembered for a vault.</summary>
    /// <param name="vault">The vault's id.</param>
    /// <param name="cancellationToken">Gives up.</param>
    ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken);

    /// <summary>
    /// Remembers that this snapshot's instant is kept as a point of a vault, so that a later snapshot can say what changed since. Durable when the task completes.
    /// Called after the point's commit, while the snapshot is still held; never called for a point that was not committed.
    /// </summary>
    /// <param name="vault">The vault's id; its earlier point, if one was remembered, is forgotten.</param>
    /// <param name="point">The point's id.</param>
    /// <param name="used">The blocks that were in use at the instant: what the point holds.</param>
    /// <param name="cancellationToken">Gives up; the next run then reads everything.</param>
    ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken);
}

/// <summary>What may have changed since a point.</summary>
/// <param name="Point">The point; null when none is remembered, or when nothing can be said: everything must be read, and <paramref name="Doubt"/> says why.</param>
/// <param name="Changed">A bit for each region that was written, discarded or zeroed since, in <see cref="UsedBlocks"/>'s shape; null with no point.</param>
/// <param name="Doubtful">Regions about which the provider lost count, for instance through a crash: to be read and compared by hash; null with no point.</param>
/// <param name="UsedThen">The blocks that the point holds; null with no point.</param>
/// <param name="Doubt">One sentence for the report: why everything, or the doubtful part, must be read again; null when the change map is exact.</param>
public sealed record VolumeChanges(Guid? Point, UsedBlocks? Changed, UsedBlocks? Doubtful, UsedBlocks? UsedThen, string? Doubt)
{
    /// <summary>Nothing is known: everything must be read.</summary>
    /// <param name="reason">One sentence.</param>
    public static VolumeChanges Unknown(string reason) => new(null, null, null, null, reason);
}
