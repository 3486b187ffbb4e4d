using Quench.Blocks;

namespace Quench.Snapshots.Coordination;

/// <summary>The order of an instant, the same for every provider: applications quiet, file systems frozen, the instant, file systems thawed, applications let go.</summary>
internal static class HeldInstant
{
    /// <summary>Takes an instant while applications are quiet. They are let go of whatever happens.</summary>
    /// <param name="writers">The applications; null for none.</param>
    /// <param name="mountPoints">Of the file systems that will be frozen; written out first, because applications wait while they are.</param>
    /// <param name="take">Freezes, takes, thaws. Answers whether there is an instant.</param>
    /// <param name="cancellationToken">Gives up before the instant.</param>
    /// <exception cref="QuenchException">SNAP-123: it took longer than writers may be held; and what <paramref name="take"/> throws.</exception>
    internal static async ValueTask<InstantVerdict> TakeAsync(
        IApplicationWriters? writers, IReadOnlyList<string> mountPoints, Func<ValueTask<bool>> take, CancellationToken cancellationToken)
    {
        if (writers is null)
        {
            await take();
            return InstantVerdict.Keep;
        }

        foreach (string mountPoint in mountPoints)
        {
            FrozenFileSystem.WriteOut(mountPoint);
        }

        await writers.HoldAsync(cancellationToken);
        bool taken = false;
        InstantVerdict verdict;
        try
        {
            taken = await take();
        }
        finally
        {
            verdict = await writers.LetGoAsync(taken);
        }

        return verdict != InstantVerdict.TooLate ? verdict : throw TooLate(mountPoints);
    }

    private static QuenchException TooLate(IReadOnlyList<string> mountPoints) => new(
        "SNAP-123",
        $"the snapshot of {string.Join(", ", mountPoints)} was not there within the time that applications may be held for it",
        "try again in a quieter hour, or allow more time with --provider-limit")
    {
        Effect = "the applications were let go in time and the snapshot was discarded; the volume itself is unaffected",
        CanRetry = true,
    };
}
