namespace Quench.Snapshots.Coordination;

/// <summary>Where a writer is, or at which step it failed. Numbered as VSS numbers writer states.</summary>
public enum WriterState
{
    /// <summary>Not asked yet.</summary>
    Unknown = 0,

    /// <summary>Nothing is going on.</summary>
    Stable = 1,

    /// <summary>Prepared; the freeze is next.</summary>
    WaitingForFreeze = 2,

    /// <summary>Its writes are held.</summary>
    WaitingForThaw = 3,

    /// <summary>Thawed.</summary>
    WaitingForPostSnapshot = 4,

    /// <summary>The snapshot is being read.</summary>
    WaitingForBackupComplete = 5,

    /// <summary>It did not say who it is.</summary>
    FailedAtIdentify = 6,

    /// <summary>It did not take the backup's plan.</summary>
    FailedAtPrepareBackup = 7,

    /// <summary>It was not ready to be frozen.</summary>
    FailedAtPrepareSnapshot = 8,

    /// <summary>Its writes were not held.</summary>
    FailedAtFreeze = 9,

    /// <summary>Its writes were not held to the end, or it did not say so.</summary>
    FailedAtThaw = 10,

    /// <summary>It did not finish after the snapshot.</summary>
    FailedAtPostSnapshot = 11,

    /// <summary>It did not take the outcome.</summary>
    FailedAtBackupComplete = 12,

    /// <summary>It did not make way for the restore.</summary>
    FailedAtPreRestore = 13,

    /// <summary>It did not come up after the restore.</summary>
    FailedAtPostRestore = 14,

    /// <summary>It did not end its work when the backup's program went.</summary>
    FailedAtBackupShutdown = 15,
}

/// <summary>Why a writer failed. Numbered as VSS numbers writer errors.</summary>
public enum WriterError : uint
{
    /// <summary>It did not.</summary>
    None = 0,

    /// <summary>The snapshot does not hold what this writer needs: data on a volume that was not taken.</summary>
    InconsistentSnapshot = 0x800423F0,

    /// <summary>It had no room, memory or connection left.</summary>
    OutOfResources = 0x800423F1,

    /// <summary>It did not answer in time.</summary>
    Timeout = 0x800423F2,

    /// <summary>It failed; a second try may do.</summary>
    Retryable = 0x800423F3,

    /// <summary>It failed, and will again.</summary>
    NonRetryable = 0x800423F4,

    /// <summary>It died, or hung up.</summary>
    NotResponding = 0x80042319,
}

/// <summary>What a writer is asked, in the order of the steps.</summary>
public enum WriterEvent
{
    /// <summary>Who are you, and what do you own?</summary>
    Identify,

    /// <summary>This will be backed up.</summary>
    PrepareBackup,

    /// <summary>The freeze is next.</summary>
    PrepareSnapshot,

    /// <summary>Hold your writes.</summary>
    Freeze,

    /// <summary>Write again, and say whether you held.</summary>
    Thaw,

    /// <summary>The snapshot exists.</summary>
    PostSnapshot,

    /// <summary>The backup has ended.</summary>
    BackupComplete,

    /// <summary>Let go of everything.</summary>
    Abort,

    /// <summary>Make way: files are put back.</summary>
    PreRestore,

    /// <summary>The files are back.</summary>
    PostRestore,
}
