namespace Quench.FileSystems.Xfs.Log;

/// <summary>What a mount would find in the log.</summary>
internal enum LogState
{
    /// <summary>Nothing: it ends with an unmount, or was never used.</summary>
    Clean,

    /// <summary>Changes of the superblock's counters alone, as a freeze leaves it: all else is in its place.</summary>
    SuperblockOnly,

    /// <summary>Other changes.</summary>
    Pending,
}
