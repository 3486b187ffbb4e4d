namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>What a worker does with the volume.</summary>
internal enum WorkerMode
{
    /// <summary>Everything: snapshots and tracking.</summary>
    Full,

    /// <summary>Reads and writes go to the origin; nothing else runs.</summary>
    PassThrough,
}

/// <summary>How far a worker is.</summary>
internal enum WorkerPhase
{
    /// <summary>The place is empty.</summary>
    None,

    /// <summary>Started, warming up.</summary>
    Starting,

    /// <summary>Warm; waits for the word.</summary>
    Ready,

    /// <summary>Has the word; has not yet taken a request.</summary>
    TakingOver,

    /// <summary>Serves the volume.</summary>
    Serving,

    /// <summary>Finishes its requests and ends.</summary>
    Draining,
}

/// <summary>Why the volume changed hands the last time. The numbers are in memory that workers of other versions read: never reused.</summary>
internal enum ChangeReason
{
    /// <summary>It never did.</summary>
    None = 0,

    /// <summary>The worker was killed by a signal; the detail is its number.</summary>
    Signal = 1,

    /// <summary>The worker ended by itself; the detail is its exit code.</summary>
    Exit = 2,

    /// <summary>A request made no progress.</summary>
    RequestStuck = 3,

    /// <summary>The worker gave no sign of life.</summary>
    Silent = 4,

    /// <summary>The worker did not begin to serve in time.</summary>
    SlowToTakeOver = 5,

    /// <summary>Somebody asked for a new worker.</summary>
    Upgrade = 6,

    /// <summary>The calm time of pass-through was over.</summary>
    Calm = 7,

    /// <summary>Workers died at once, again and again; the detail is how many.</summary>
    CrashLoop = 8,

    /// <summary>The worker was killed and can't end, and was left behind.</summary>
    CannotEnd = 9,
}

/// <summary>Why the volume changed hands.</summary>
internal readonly record struct Change(ChangeReason Reason, int Detail);

/// <summary>What the supervisor wants done.</summary>
internal enum ActionKind
{
    /// <summary>Start a worker in the place.</summary>
    Spawn,

    /// <summary>Give the place's worker the word: nobody else serves.</summary>
    Go,

    /// <summary>Have the place's worker finish its requests and end.</summary>
    Drain,

    /// <summary>Kill the place's worker.</summary>
    Kill,

    /// <summary>Tell the place's worker that there will be no upgrade.</summary>
    RefuseUpgrade,

    /// <summary>Detach the block device.</summary>
    DetachDevice,

    /// <summary>Tell the place's worker that the device is gone: it closes its books and ends.</summary>
    TellGone,

    /// <summary>Tell the place's worker that the device is in use.</summary>
    TellBusy,

    /// <summary>All workers are gone and so is the device: end.</summary>
    Finish,

    /// <summary>No worker serves and none will: end, and let the device answer errors.</summary>
    GiveUp,
}

/// <summary>One thing to do.</summary>
/// <param name="Kind">What.</param>
/// <param name="Place">Which worker's place.</param>
/// <param name="Mode">With Go: how it shall serve.</param>
/// <param name="TakesOver">With Go: whether somebody served before.</param>
internal readonly record struct SupervisorAction(ActionKind Kind, int Place, WorkerMode Mode = WorkerMode.Full, bool TakesOver = false);

/// <summary>The supervisor's times and counts.</summary>
internal sealed record SupervisorPace
{
    /// <summary>How long a worker may warm up.</summary>
    internal TimeSpan StartLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a worker may take from the word to its first request. The tracking state's disk may be slow; production waits.</summary>
    internal TimeSpan TakeOverLimit { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>How long a worker may finish its requests.</summary>
    internal TimeSpan DrainLimit { get; init; } = TimeSpan.FromSeconds(4);

    /// <summary>A worker that served for longer has not died at once.</summary>
    internal TimeSpan AtOnce { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>So many in a row that died at once by their own doing are a crash loop.</summary>
    internal int OwnDeaths { get; init; } = 5;

    /// <summary>So many in a row that were killed at once by somebody else (the administrator, the out-of-memory killer) are one too.</summary>
    internal int Killings { get; init; } = 30;

    /// <summary>The longest pause between two attempts, when even pass-through dies or no worker can be started.</summary>
    internal TimeSpan LongestPause { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long pass-through lasts the first time. Each time doubles it.</summary>
    internal TimeSpan Calm { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long it lasts at most; and full service for as long makes the next one the first again.</summary>
    internal TimeSpan LongestCalm { get; init; } = TimeSpan.FromHours(1);
}
