namespace Quench.Tests.Simulation.Tracking;

/// <summary>A mistake that the simulated shell makes on purpose: the simulator must notice.</summary>
public enum TrackingMutation
{
    /// <summary>None.</summary>
    None,

    /// <summary>The exact bit is set when the write has landed.</summary>
    BitAfterWrite,

    /// <summary>A write looks for its guard first and sets its bit then.</summary>
    LookBeforeBit,

    /// <summary>A write lands without waiting for its region's intent.</summary>
    IntentNotAwaited,

    /// <summary>An intent counts as durable when it is written, before it is synced.</summary>
    IntentNotSynced,

    /// <summary>Intents are let go of before the checkpoint is durable, and the sectors do not say on whose strength.</summary>
    ClearBeforeCheckpoint,

    /// <summary>The instant does not wait for the writes that were let in.</summary>
    SwapNotAtomic,

    /// <summary>A point is remembered while the origin may still lose what the point holds.</summary>
    RememberWithoutFlush,

    /// <summary>A detach in order does not look whether the origin is written afterwards.</summary>
    StampIgnored,
}
