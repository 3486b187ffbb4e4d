using Quench.Blocks;

namespace Quench.Snapshots;

/// <summary>
/// A snapshot whose instant lies at the end of the capture: the volume is copied while it is written, what was written meanwhile is copied again, and the writers
/// are held only for the rest. Until then <see cref="ISnapshot.Reader"/> reads the volume as it is at that moment; after <see cref="HoldAsync"/> it reads the instant, and only
/// what was copied while the writers were held.
/// </summary>
/// <remarks>
/// The order that makes it right: <see cref="TakeChangesAsync"/> first, then read. What is written after the question is in the next answer. One requestor, one call at a time.
/// </remarks>
public interface IConvergingSnapshot : ISnapshot
{
    /// <summary>Why everything was answered again since the first time: a sentence for each time that a write may have been missed.</summary>
    IReadOnlyList<string> Doubts { get; }

    /// <summary>Flushes the volume's file system and takes what may have changed since the last call: everything at first, and whenever a write may have been missed.</summary>
    /// <returns>The caller's.</returns>
    /// <exception cref="QuenchException">SNAP-183: the volume is not the same any more.</exception>
    ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken cancellationToken);

    /// <summary>Says whether to hold the writers now; otherwise what is left is to be copied and asked about again.</summary>
    /// <param name="leftBytes">What must be copied still.</param>
    /// <exception cref="QuenchException">SNAP-184: no number of passes would lead to an end.</exception>
    bool ShouldHold(long leftBytes);

    /// <summary>Holds the writers, copies the rest into memory, lets the writers go on.</summary>
    /// <param name="choose">
    /// Called while writers are held, with what may have changed since <see cref="TakeChangesAsync"/>; answers all that must be copied still. It may read <see cref="ISnapshot.Reader"/>,
    /// and must wait for nothing that writes to the volume.
    /// </param>
    /// <param name="cancellationToken">Gives up before the writers are held.</param>
    /// <returns>
    /// True: the instant is there, and the reader answers what was chosen. False: too much was left, and the writers were let go again; what changed has been told to
    /// <paramref name="choose"/> or is in the next answer of <see cref="TakeChangesAsync"/>.
    /// </returns>
    /// <exception cref="QuenchException">SNAP-120 to SNAP-122: the writers could not be held, or not long enough.</exception>
    ValueTask<bool> HoldAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose, CancellationToken cancellationToken);
}
