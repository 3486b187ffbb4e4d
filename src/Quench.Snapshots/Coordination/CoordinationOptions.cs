namespace Quench.Snapshots.Coordination;

/// <summary>How a backup coordinates the applications on its volumes.</summary>
public sealed record CoordinationOptions
{
    /// <summary>The volumes that are taken at one instant.</summary>
    public required IReadOnlyList<OperationVolume> Volumes { get; init; }

    /// <summary>Where writers are looked for.</summary>
    public required IReadOnlyList<IWriterSource> Sources { get; init; }

    /// <summary>What is set for them.</summary>
    public WriterSettings Settings { get; init; } = WriterSettings.None;

    /// <summary>How long each step may take.</summary>
    public CoordinationLimits Limits { get; init; } = new();

    /// <summary>Whether logs may be truncated.</summary>
    public BackupKind Kind { get; init; }

    /// <summary>The components that are wanted, as "writer/component" or as the writer's name alone; null for all. Writers of which nothing is wanted take no part.</summary>
    public IReadOnlyList<string>? Components { get; init; }

    /// <summary>What is not wanted, in the same words. A writer all of whose components are excluded takes no part, and what it owns keeps its volume below application grade.</summary>
    public IReadOnlyList<string> Excluded { get; init; } = [];

    /// <summary>How often the instant is taken again when an application did not hold but may do so another time.</summary>
    public int Retries { get; init; } = 1;
}
