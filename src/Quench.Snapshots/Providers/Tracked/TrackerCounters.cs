namespace Quench.Snapshots.Providers.Tracked;

/// <summary>What a tracker has missed since it was started, as far as it knows: each number only grows.</summary>
/// <param name="Misses">Events that neither copy of a program saw, because both were running on that processor already.</param>
/// <param name="Lost">Events that could not be noted.</param>
/// <param name="Unknown">Requests of an unknown kind that changed the disk.</param>
internal readonly record struct TrackerCounters(long Misses, ulong Lost, ulong Unknown)
{
    /// <summary>Why a write may be missing between an earlier look and this one, in one clause; null when none is.</summary>
    public string? DoubtSince(TrackerCounters before) =>
        Misses < before.Misses || Lost < before.Lost || Unknown < before.Unknown ? "the tracker's counters are not those that were remembered"
        : Misses != before.Misses ? $"the kernel left the tracker out {Misses - before.Misses} times"
        : Lost != before.Lost ? $"{Lost - before.Lost} writes could not be noted"
        : Unknown != before.Unknown ? $"{Unknown - before.Unknown} requests of an unknown kind changed the disk"
        : null;
}
