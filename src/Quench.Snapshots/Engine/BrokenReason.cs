namespace Quench.Snapshots.Engine;

/// <summary>What kind of trouble broke a snapshot.</summary>
internal enum BreakCause
{
    /// <summary>The diff area had no room for an old block, and the policy spares the writer.</summary>
    DiffAreaFull,

    /// <summary>An old block could not be read from the origin or written to the diff area.</summary>
    SaveFailed,

    /// <summary>A writer had been held for as long as the user allows.</summary>
    HoldLimit,

    /// <summary>The shell gave up for a reason of its own: the volume vanished, the service is stopping.</summary>
    Abandoned,
}

/// <summary>Why a snapshot can no longer be read. The first cause is kept and answered to every later call.</summary>
/// <param name="Cause">What kind of trouble.</param>
/// <param name="Detail">What happened, to what: one sentence without a full stop, for a person.</param>
internal sealed record BrokenReason(BreakCause Cause, string Detail);
