using Quench.Blocks;

namespace Quench.Snapshots;

/// <summary>Several volumes that are copied while they are written, and that are to have one instant. Disposing it disposes its members.</summary>
public interface IConvergingSet : IAsyncDisposable
{
    /// <summary>The volumes. Each is copied by itself; none is held by itself.</summary>
    IReadOnlyList<IConvergingSnapshot> Members { get; }

    /// <summary>Holds the writers of all of them, copies the rest of each into memory, lets the writers go on. To be asked for when every member should be held.</summary>
    /// <param name="choices">For each member what <see cref="IConvergingSnapshot.HoldAsync"/> asks for. Called one after the other, while all writers are held.</param>
    /// <param name="cancellationToken">Gives up before the writers are held.</param>
    /// <returns>True: all members have the same instant. False: of one of them too much was left, and all writers were let go again.</returns>
    /// <exception cref="QuenchException">SNAP-120 to SNAP-123: the writers could not be held, or not long enough.</exception>
    ValueTask<bool> HoldAsync(IReadOnlyList<Func<UsedBlocks, ValueTask<UsedBlocks>>> choices, CancellationToken cancellationToken);
}
