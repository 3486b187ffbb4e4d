namespace Quench.Snapshots.Engine;

/// <summary>Who pays when the diff area has no room for the next old block.</summary>
internal enum OverflowPolicy
{
    /// <summary>The snapshot: it breaks, and the write lands at once. Production never suffers.</summary>
    BreakSnapshot,

    /// <summary>The writer: it waits until imaging frees room. The shell owns the clock and breaks the snapshot at its limit.</summary>
    HoldWriter,
}
