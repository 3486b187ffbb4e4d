using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Capture;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Cold;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Providers.Tracked;

namespace Quench.Imaging.Sources;

/// <summary>A source held at one instant, and what is on it. Disposing lets go of the instant.</summary>
public sealed class SourceMoment : IAsyncDisposable
{
    private SourceMoment(ISnapshot snapshot, VolumeAnalysis analysis)
    {
        Snapshot = snapshot;
        Analysis = analysis;
    }

    /// <summary>The volume at the instant.</summary>
    public ISnapshot Snapshot { get; }

    /// <summary>What is on it, read from the snapshot.</summary>
    public VolumeAnalysis Analysis { get; }

    /// <summary>Takes the snapshot and looks at what is on it.</summary>
    /// <param name="source">What to hold.</param>
    /// <param name="options">How a volume in use is held; not looked at for one at rest.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up and lets go.</param>
    public static Task<SourceMoment> TakeAsync(
        ImagingSource source, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken) => source switch
        {
            AttachedSource attached => TakeAttachedAsync(attached.Volume, options, clock, cancellationToken),
            MountedSource mounted => TakeMountedAsync(mounted.Volume, options, clock, cancellationToken),
            ColdSource cold => TakeColdAsync(cold.Path, clock, cancellationToken),
            _ => throw new ArgumentException($"no provider for a {source.GetType().Name}", nameof(source)),
        };

    /// <summary>Refuses a file system that is not sound.</summary>
    /// <exception cref="QuenchException">SRC-104: it is not.</exception>
    public void DemandSound()
    {
        PartitionContent? part = Analysis.Disk?.Partitions.FirstOrDefault(content => content.FileSystem is { State: FileSystemState.Unsound });
        if (Analysis.FileSystem is { State: FileSystemState.Unsound } whole)
        {
            FileSystemFacts found = part?.FileSystem ?? whole;
            string where = part is null ? Snapshot.Volume : $"partition {part.Partition.Number} of {Snapshot.Volume}";
            throw new QuenchException(
                "SRC-104",
                $"the {found.Type} file system on {where} is not sound: it was not left in order, or it has noted errors",
                $"check it ({found.Checker}) and run this again, or image it as it is with --force")
            {
                Effect = "nothing was stored",
            };
        }
    }

    /// <summary>The request to image it, with nothing said yet about tags and proof.</summary>
    /// <param name="name">The volume's name in the point.</param>
    /// <param name="host">The machine.</param>
    public CaptureRequest ToRequest(string name, string host) => new() { Snapshot = Snapshot, Analysis = Analysis, Name = name, Host = host };

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Snapshot.DisposeAsync();

    private static async Task<SourceMoment> TakeAttachedAsync(
        AttachedVolume volume, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        ISnapshot snapshot = await FilterProvider.TakeAsync(volume, options, clock, cancellationToken);
        try
        {
            return await LookAsync(volume, snapshot, cancellationToken);
        }
        catch
        {
            await snapshot.DisposeAsync();
            throw;
        }
    }

    /// <summary>Takes attached volumes at one instant and looks at what is on each.</summary>
    internal static async Task<IReadOnlyList<SourceMoment>> TakeSetAsync(
        IReadOnlyList<AttachedVolume> volumes, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        IReadOnlyList<ISnapshot> snapshots = await FilterProvider.TakeSetAsync(volumes, options, clock, cancellationToken);
        try
        {
            List<SourceMoment> moments = [];
            foreach ((AttachedVolume volume, ISnapshot snapshot) in volumes.Zip(snapshots))
            {
                moments.Add(await LookAsync(volume, snapshot, cancellationToken));
            }

            return moments;
        }
        catch
        {
            foreach (ISnapshot snapshot in snapshots)
            {
                await snapshot.DisposeAsync();
            }

            throw;
        }
    }

    private static async Task<SourceMoment> LookAsync(AttachedVolume volume, ISnapshot snapshot, CancellationToken cancellationToken) =>
        new(snapshot, await Recogniser.AnalyseAsync(snapshot.Reader, extent => ConditionOf(volume, snapshot, extent), cancellationToken));

    private static async Task<SourceMoment> TakeMountedAsync(MountedVolume volume, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        IConvergingSnapshot snapshot = TrackedProvider.Start(volume, ToTracked(options), clock);
        try
        {
            return await LookAsync(snapshot, cancellationToken);
        }
        catch
        {
            await snapshot.DisposeAsync();
            throw;
        }
    }

    internal static TrackedOptions ToTracked(SnapshotOptions options) =>
        new() { FreezeLimit = options.FreezeLimit, FreezeRoot = options.FreezeRoot, TracksChanges = options.TracksChanges, Writers = options.Writers };

    /// <summary>What is found here is only a first look at a volume that goes on changing; the capture looks again at the instant.</summary>
    internal static async Task<SourceMoment> LookAsync(IConvergingSnapshot snapshot, CancellationToken cancellationToken) =>
        new(snapshot, await Recogniser.AnalyseAsync(snapshot.Reader, extent => PartConditions.WhileRunning(snapshot, extent), cancellationToken));

    /// <summary>
    /// Of the whole volume as it was mounted; of a partition as it was mounted by itself. A disk of which nothing is mounted here may be a guest's, which nobody can tell: then its partitions
    /// count as running, and of those without a journal all is imaged.
    /// </summary>
    private static VolumeCondition ConditionOf(AttachedVolume volume, ISnapshot snapshot, Extent extent) =>
        extent != snapshot.Reader.Geometry.Whole && volume.MountPoint is null
            ? (snapshot.Parts.Count == 0 ? VolumeCondition.Running : PartConditions.Of(PartConditions.PartAt(snapshot, extent)))
        : volume.MountPoint is null ? VolumeCondition.AtRest
        : snapshot.Grade == SnapshotGrade.FileSystem ? VolumeCondition.Frozen
        : VolumeCondition.Running;

    /// <summary>Left in order; of a disk all that was recognised on it, and something was.</summary>
    private static bool IsClean(VolumeAnalysis analysis) => analysis.FileSystem?.State == FileSystemState.Clean
        && (analysis.Disk is not { } disk || disk.Partitions.Any(content => content.FileSystem is not null));

    private static async Task<SourceMoment> TakeColdAsync(string path, TimeProvider clock, CancellationToken cancellationToken)
    {
        VolumeAnalysis? analysis = null;
        async Task<SnapshotGrade> JudgeAsync(IBlockReader volume, CancellationToken token)
        {
            analysis = await Recogniser.AnalyseAsync(volume, VolumeCondition.AtRest, token);
            return IsClean(analysis) ? SnapshotGrade.FileSystem : SnapshotGrade.Crash;
        }

        ISnapshot snapshot = await ColdProvider.TakeAsync(path, JudgeAsync, clock, cancellationToken);
        return new SourceMoment(snapshot, analysis!);
    }
}
