using Quench.FileSystems;
using Quench.Imaging.Capture.Exclusions;
using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>What is to be imaged, and what the point is to say about it.</summary>
public sealed record CaptureRequest
{
    /// <summary>The volume at its instant. The caller disposes it.</summary>
    public required ISnapshot Snapshot { get; init; }

    /// <summary>What is on it, read from that snapshot.</summary>
    public required VolumeAnalysis Analysis { get; init; }

    /// <summary>The volume's name in the point.</summary>
    public required string Name { get; init; }

    /// <summary>The machine.</summary>
    public required string Host { get; init; }

    /// <summary>Words of the user's to find the point by.</summary>
    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>Whatever else belongs to the point.</summary>
    public IReadOnlyDictionary<string, string> Notes { get; init; } = new Dictionary<string, string>();

    /// <summary>Read the snapshot again and hold it against what the vault gives back, before the point is committed.</summary>
    public bool Prove { get; init; }

    /// <summary>Read everything, whatever the provider knows about changes.</summary>
    public bool FullScan { get; init; }

    /// <summary>Whose data are left out. Applied at the instant, to what is in <see cref="Analysis"/> then.</summary>
    public ExclusionRules Exclusions { get; init; } = ExclusionRules.None;

    /// <summary>How to use the machine.</summary>
    public CaptureSettings Settings { get; init; } = new();

    /// <summary>The applications that were held around the instant; null when none were asked. The caller disposes it.</summary>
    public WriterCoordination? Writers { get; init; }

    /// <summary>The user's commands that have been run when the point is committed.</summary>
    public Func<IReadOnlyList<HookRecord>> Hooks { get; init; } = () => [];

    /// <summary>What was left out; null before that is known.</summary>
    internal LeftOut? LeftOut { get; init; }

    /// <summary>Chooses the sample that the record of changes is tested with: another one in each run.</summary>
    internal Random Chance { get; init; } = new();
}

/// <summary>A capture that is done.</summary>
/// <param name="Point">The point, committed.</param>
/// <param name="Totals">What storing it took.</param>
public sealed record CaptureResult(RecoveryPoint Point, SessionTotals Totals)
{
    /// <summary>The volume's record in the point; of several, the first.</summary>
    public VolumeRecord Volume => Point.Volumes[0];

    /// <summary>The lowest grade of its volumes.</summary>
    public string Grade => GradeText.Lowest(Point.Volumes.Select(volume => volume.Grade));

    /// <summary>What must be known although the point was made.</summary>
    public IReadOnlyList<CaptureWarning> Warnings { get; init; } = [];
}
