namespace Quench.Snapshots.Coordination.Holds;

/// <summary>
/// A hold that outlives whoever took it: a frozen cgroup, a stopped unit, a frozen guest. It is taken and ended by one process that does nothing else (<see cref="HoldGuardLoop"/>), so
/// that ending it never overtakes taking it.
/// </summary>
/// <remarks>The calls come one after the other, in this order; <see cref="LetGoAsync"/> on every way out. Failures are exceptions with a sentence for people.</remarks>
internal interface IGuardedHold : IAsyncDisposable
{
    /// <summary>Does whatever can be done before, and uses each way that is used later once, so that none is compiled or opened while something is held. Holds nothing.</summary>
    ValueTask PrepareAsync(CancellationToken cancellationToken);

    /// <summary>Takes the hold. What is held by somebody else already is a failure, and stays as it is.</summary>
    /// <param name="cancellationToken">The limit has passed, or the owner is gone.</param>
    ValueTask HoldAsync(CancellationToken cancellationToken);

    /// <summary>Whether it is held now and has been all the time.</summary>
    ValueTask<HoldAnswer> ConfirmAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Lets go of what <see cref="HoldAsync"/> took or may have taken, and of nothing else. Tries again until it is so or nothing is left that could be held; bounded by itself. Idempotent.
    /// </summary>
    ValueTask LetGoAsync();

    /// <summary>Makes sure that production really goes on, where that takes longer than letting go (a unit that starts). Bounded by itself.</summary>
    ValueTask SettleAsync();
}
