namespace Quench.Snapshots.Providers.Tracked;

/// <summary>What the words of the tracker's control map mean; the value is the word's place. Programs count, user space compares.</summary>
internal enum TrackerWord
{
    /// <summary>Set by user space: not 0 lets reads be heard too, so that a read of its own proves that the programs still run.</summary>
    Listen,

    /// <summary>While listening: requests on the device that were heard when submitted, reads too.</summary>
    HeardSubmitted,

    /// <summary>Likewise: those that were heard when completed.</summary>
    HeardCompleted,

    /// <summary>Entries of the log that were ever taken by a program.</summary>
    LogHead,

    /// <summary>Set by user space: entries of the log that it has read and emptied.</summary>
    LogTail,

    /// <summary>Events that could not be noted: the log was full, memory could not be read, a chain was too long.</summary>
    Lost,

    /// <summary>Events of which the first copy of a program was left out by the kernel, and which the second has noted in its place.</summary>
    Rescued,

    /// <summary>Requests that change the device in a way that is not known here: zone appends and resets, a driver's own commands.</summary>
    Unknown,

    /// <summary>Of a tracker that stands: the first word of the plane that is marked now.</summary>
    Plane,

    /// <summary>Likewise, set by user space: the number of the record that tells since when it counts; 0 while there is none.</summary>
    Record,

    /// <summary>Likewise: what <see cref="TrackerCounters.Misses"/> was when the count began.</summary>
    MissesThen,

    /// <summary>Likewise for <see cref="Lost"/>.</summary>
    LostThen,

    /// <summary>Likewise for <see cref="Unknown"/>.</summary>
    UnknownThen,

    /// <summary>Likewise for <see cref="TrackerCounters.UnheardLanded"/>.</summary>
    UnheardLandedThen,

    /// <summary>Likewise for <see cref="TrackerCounters.UnheardQueued"/>.</summary>
    UnheardQueuedThen,

    /// <summary>Of a tracker of one backup: bytes of the volume whose writing, discarding or zeroing was completed. Far from the words that every event reads: it changes with each write.</summary>
    CompletedBytes = 32,

    /// <summary>How many words there are.</summary>
    Count,
}
