namespace Quench.Snapshots;

/// <summary>What a snapshot has taken, beside what it was allowed. All of it is enforced: what passes a limit fails the backup, never the volume.</summary>
public sealed record SnapshotTimes
{
    /// <summary>The longest that anybody may allow for taking a snapshot.</summary>
    public static readonly TimeSpan LongestTakeLimit = TimeSpan.FromSeconds(60);

    /// <summary>How long taking it took: from the first word to the worker until it could be read. Of the last attempt, when there were several.</summary>
    public required TimeSpan Taken { get; init; }

    /// <summary>How long that might have taken.</summary>
    public required TimeSpan TakeLimit { get; init; }

    /// <summary>The longest that a write of the volume waited for the diff area to take an old block.</summary>
    public TimeSpan SaveWait { get; init; }

    /// <summary>How long it may.</summary>
    public required TimeSpan SaveWaitLimit { get; init; }

    /// <summary>The longest that an old block was on its way to its place on disk. It was safe in memory meanwhile.</summary>
    public TimeSpan Handling { get; init; }

    /// <summary>How long that may take.</summary>
    public required TimeSpan HandlingLimit { get; init; }

    /// <summary>The longest that a writer was held because the diff area was full; null when none was.</summary>
    public TimeSpan? Hold { get; init; }

    /// <summary>How long a writer might be held; zero: not at all.</summary>
    public TimeSpan HoldLimit { get; init; }

    /// <summary>How long it took from letting go until the filter was idle again and memory and spill file were given back; null when that is not known.</summary>
    public TimeSpan? Idle { get; init; }

    /// <summary>How long that may take.</summary>
    public required TimeSpan IdleLimit { get; init; }

    /// <summary>What came of the wait for a pause; null when none was asked for.</summary>
    public QuietFound? Quiet { get; init; }

    /// <summary>Of snapshots with the same limits, the longest of each; null for none.</summary>
    public static SnapshotTimes? Longest(IReadOnlyList<SnapshotTimes> times) => times.Count == 0 ? null : times[0] with
    {
        Taken = times.Max(one => one.Taken),
        SaveWait = times.Max(one => one.SaveWait),
        Handling = times.Max(one => one.Handling),
        Hold = times.Max(one => one.Hold),
        Idle = times.Any(one => one.Idle is null) ? null : times.Max(one => one.Idle),
    };
}

/// <summary>A wish for a pause between writes.</summary>
/// <param name="Limit">How long to wait for one.</param>
/// <param name="Period">How long no write may have come.</param>
/// <param name="IsRequired">Take no snapshot at all when there is none; otherwise it is taken anyway when the time is over.</param>
public sealed record QuietWait(TimeSpan Limit, TimeSpan Period, bool IsRequired);

/// <summary>What came of a wish for a pause.</summary>
/// <param name="Waited">How long was waited.</param>
/// <param name="Quiet">How long no write had come when it ended.</param>
/// <param name="Attempts">How many snapshots were taken, because a write slipped into the others.</param>
/// <param name="IsFound">Whether the instant lies in a pause.</param>
public sealed record QuietFound(TimeSpan Waited, TimeSpan Quiet, int Attempts, bool IsFound);
