using Quench.Blocks;
using Quench.Snapshots.Coordination;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// The instant of one volume or of several: applications quiet, every file system frozen, the rest of every volume copied, every file system thawed. No volume changes between the last freeze and the
/// first thaw, so they have that moment in common.
/// </summary>
internal static class TrackedHold
{
    /// <summary>Takes it.</summary>
    /// <param name="members">The volumes, harvested and copied up to a rest.</param>
    /// <param name="choices">What must be copied still of each, in the same order.</param>
    /// <param name="options">How they may be held, and the applications on them.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before anything is frozen.</param>
    /// <returns>False when too much was left of one, or an application asks for another try.</returns>
    internal static async ValueTask<bool> TakeAsync(
        IReadOnlyList<TrackedSnapshot> members,
        IReadOnlyList<Func<UsedBlocks, ValueTask<UsedBlocks>>> choices,
        TrackedOptions options,
        TimeProvider clock,
        CancellationToken cancellationToken)
    {
        Dictionary<TrackedSnapshot, Func<UsedBlocks, ValueTask<UsedBlocks>>> choiceOf = members.Zip(choices).ToDictionary(pair => pair.First, pair => pair.Second);
        List<HeldVolume> held = [];
        try
        {
            foreach (TrackedSnapshot member in FreezeSet.InOrder(members, (one, other) => one.LiesOn(other)))
            {
                held.Add(new HeldVolume(member, choiceOf[member], await member.PrepareHoldAsync(cancellationToken)));
            }

            cancellationToken.ThrowIfCancellationRequested();
            bool isWhole = false;
            DateTimeOffset instant = default;
            InstantVerdict verdict = await HeldInstant.TakeAsync(
                options.Writers,
                [.. held.SelectMany(one => one.Volume.FrozenPoints)],
                async () =>
                {
                    (isWhole, instant) = await CopyAsync(held, options.FreezeLimit, clock);
                    return isWhole;
                },
                cancellationToken);
            if (!isWhole || verdict == InstantVerdict.TryAgain)
            {
                return false;
            }

            held.ForEach(one => one.Volume.Accept(instant, one.Freeze.LongestHeld));
            return true;
        }
        finally
        {
            foreach (HeldVolume one in held)
            {
                await one.Freeze.DisposeAsync();
            }
        }
    }

    private static async ValueTask<(bool IsWhole, DateTimeOffset Instant)> CopyAsync(List<HeldVolume> held, TimeSpan limit, TimeProvider clock)
    {
        bool isWhole = true;
        DateTimeOffset instant;
        try
        {
            held.ForEach(one => one.Freeze.Freeze(limit));
            instant = clock.GetUtcNow();
            foreach (HeldVolume one in held)
            {
                isWhole = isWhole && await one.Volume.CopyRestAsync(one.Choose);
            }
        }
        finally
        {
            for (int last = held.Count - 1; last >= 0; last--)
            {
                held[last].Freeze.ThawQuietly();
            }
        }

        held.ForEach(one => one.Freeze.DemandHeld());
        return (isWhole, instant);
    }

    /// <summary>A volume, what must be copied of it, and its file systems, to be frozen.</summary>
    private sealed record HeldVolume(TrackedSnapshot Volume, Func<UsedBlocks, ValueTask<UsedBlocks>> Choose, FreezeSet Freeze);
}
