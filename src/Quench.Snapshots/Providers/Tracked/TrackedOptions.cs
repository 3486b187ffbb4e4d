namespace Quench.Snapshots.Providers.Tracked;

/// <summary>How a mounted volume is held at its instant.</summary>
public sealed record TrackedOptions
{
    /// <summary>How long its writers may be held.</summary>
    public TimeSpan FreezeLimit { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether the machine's own root may be frozen.</summary>
    public bool FreezeRoot { get; init; }

    /// <summary>Whether a tracker stays in the kernel after the backup, so that the next one reads only what changed.</summary>
    public bool TracksChanges { get; init; } = true;

    /// <summary>The applications on the volume, held around the freeze; null to ask none.</summary>
    public Coordination.IApplicationWriters? Writers { get; init; }

    /// <summary>When passes end; tests make it smaller.</summary>
    internal ConvergenceLimits Limits { get; init; } = new();
}
