using Quench.Blocks;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>What a tracker has missed since it was started, as far as it knows: each number only grows.</summary>
/// <param name="Misses">Events that neither copy of a program saw, because both were running on that processor already.</param>
/// <param name="Lost">Events that could not be noted.</param>
/// <param name="Unknown">Requests of an unknown kind that changed the disk.</param>
/// <param name="UnheardLanded">
/// Bytes that the disk has written by the kernel's statistics, less those that were heard to land: from some value on, it grows by what was not heard. It may be told too low while requests end.
/// </param>
/// <param name="UnheardQueued">The same, less those that were heard when submitted. It is told too low by what is under way.</param>
internal readonly record struct TrackerCounters(long Misses, ulong Lost, ulong Unknown, long UnheardLanded, long UnheardQueued)
{
    /// <summary>Why a write may be missing between an earlier look and this one, in one clause; null when none is. A write that was heard at one of its ends is not missing.</summary>
    public string? DoubtSince(TrackerCounters before) =>
        Misses < before.Misses || Lost < before.Lost || Unknown < before.Unknown ? "the tracker's counters are not those that were remembered"
        : Misses != before.Misses ? $"the kernel left the tracker out {Misses - before.Misses} times"
        : Lost != before.Lost ? $"{Lost - before.Lost} writes could not be noted"
        : Unknown != before.Unknown ? $"{Unknown - before.Unknown} requests of an unknown kind changed the disk"
        : HasUnheardLandingsSince(before) && UnheardQueued > before.UnheardQueued
            ? $"{ByteSize.Format(Math.Min(UnheardLanded - before.UnheardLanded, UnheardQueued - before.UnheardQueued))} were written that the tracker may not have heard of at all"
        : null;

    /// <summary>Whether a write may have landed since without being heard.</summary>
    public bool HasUnheardLandingsSince(TrackerCounters before) => UnheardLanded > before.UnheardLanded;
}
