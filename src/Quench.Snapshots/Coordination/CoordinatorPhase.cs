namespace Quench.Snapshots.Coordination;

/// <summary>Where a coordination is. The table in README.md says who acts in each and how it is left.</summary>
internal enum CoordinatorPhase
{
    /// <summary>Nothing has been asked.</summary>
    Idle,

    /// <summary>Writers say who they are.</summary>
    Identifying,

    /// <summary>The requestor chooses who takes part.</summary>
    Identified,

    /// <summary>Writers are told what will be backed up.</summary>
    PreparingBackup,

    /// <summary>The provider gets ready; it says when.</summary>
    Prepared,

    /// <summary>Writers get ready to be frozen.</summary>
    PreparingSnapshot,

    /// <summary>Writers are frozen, level by level. Production waits from here on.</summary>
    Freezing,

    /// <summary>The provider holds the file systems and takes the instant.</summary>
    Creating,

    /// <summary>Everybody has been told to go on; their answers are awaited. Production goes on from here.</summary>
    Thawing,

    /// <summary>Writers that held hand over what a restore needs.</summary>
    PostSnapshot,

    /// <summary>The snapshot is read.</summary>
    Imaging,

    /// <summary>Writers are told the outcome.</summary>
    Completing,

    /// <summary>Everybody is told to let go.</summary>
    Aborting,

    /// <summary>Over: nobody is held and nobody is waited for.</summary>
    Ended,
}
