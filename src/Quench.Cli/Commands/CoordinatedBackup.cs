using System.Globalization;
using Quench.Blocks;
using Quench.Imaging.Capture;
using Quench.Imaging.Sources;
using Quench.Snapshots;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Providers.Filter;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>A backup with all who take part in it: the applications on the volumes, and the user's commands, each told what it must know whatever happens.</summary>
internal sealed class CoordinatedBackup(IReadOnlyList<ImagingSource> sources, SnapshotOptions options, WriterCoordination? writers, BackupCommands commands, CliHost host)
{
    private readonly List<string> _problems = [];

    /// <summary>The applications; null when none are asked.</summary>
    public WriterCoordination? Writers => writers;

    /// <summary>What the snapshot took, once it is let go of.</summary>
    public SnapshotTimes? Times { get; private set; }

    /// <summary>The volumes as writers and commands see them: of a disk each file system on it, under the disk's name.</summary>
    public static IReadOnlyList<OperationVolume> VolumesOf(IReadOnlyList<ImagingSource> sources) => [.. sources.SelectMany(VolumesOf)];

    /// <summary>The name of the provider that will hold the instant.</summary>
    public static string ProviderOf(ImagingSource source) => source switch { AttachedSource => "filter", MountedSource => "tracked", _ => "cold" };

    /// <summary>Whether there is a freeze that applications could be held around. Without one, what they wrote may not be on the disk, and asking them would promise too much.</summary>
    public static bool AsksWriters(IReadOnlyList<ImagingSource> sources, SnapshotOptions options) =>
        sources[0] is MountedSource || (options.Freeze && sources.Any(source => source is AttachedSource { Volume.MountPoint: not null }));

    /// <summary>The commands that were run so far, for the point.</summary>
    public IReadOnlyList<HookRecord> HooksSoFar() =>
        [.. commands.Runs.Select(run => new HookRecord(run.Moment, run.Program, run.ExitCode, Math.Round(run.Took.TotalMilliseconds, 3), run.Problem))];

    /// <summary>Takes the instant, images it, tells everybody how it ended.</summary>
    /// <param name="image">Images the instant and commits the point.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<CaptureResult> RunAsync(Func<SourceSet, Task<CaptureResult>> image, CancellationToken cancellationToken)
    {
        CommandStatus outcome = new(false);
        try
        {
            CaptureResult result;
            await using (SourceSet set = await TakeAsync(cancellationToken))
            {
                result = await image(set);
                await set.DisposeAsync(); // before the report, which says how long that took
                Times = SnapshotTimes.Longest([.. set.Moments.Select(moment => moment.Snapshot.Times).OfType<SnapshotTimes>()]);
            }

            outcome = new CommandStatus(true, null, result.Grade, result.Point.Id);
            await CompleteAsync(result.Point.Id, cancellationToken);
            return result;
        }
        catch (QuenchException failure)
        {
            outcome = new CommandStatus(false, failure.Code);
            throw;
        }
        finally
        {
            await commands.AfterBackupAsync(outcome);
            NoteCommands();
        }
    }

    /// <summary>Says what went wrong beside the point, which stands.</summary>
    public void WriteProblems()
    {
        foreach (string problem in _problems)
        {
            host.Error.WriteLine($"WARNING {problem}");
        }
    }

    private async Task<SourceSet> TakeAsync(CancellationToken cancellationToken)
    {
        if (AsksWriters(sources, options))
        {
            return await SourceSet.TakeAsync(sources, options with { Writers = new CommandedWriters(commands, writers) }, host.Clock, cancellationToken);
        }

        await commands.BeforeSnapshotAsync(cancellationToken);
        CommandStatus status = new(false);
        try
        {
            SourceSet set = await SourceSet.TakeAsync(sources, options, host.Clock, cancellationToken);
            status = new CommandStatus(true);
            return set;
        }
        catch (QuenchException failure)
        {
            status = new CommandStatus(false, failure.Code);
            throw;
        }
        finally
        {
            await commands.AfterSnapshotAsync(status);
        }
    }

    private async Task CompleteAsync(Guid point, CancellationToken cancellationToken)
    {
        if (writers is null)
        {
            return;
        }

        foreach (WriterReport report in await writers.CompleteAsync(point, cancellationToken))
        {
            if (report.State == WriterState.FailedAtBackupComplete)
            {
                _problems.Add(string.Create(CultureInfo.InvariantCulture, $"SNAP-128: the writer {report.Identity} did not take the outcome of the backup: {report.Message}"));
            }
        }
    }

    private void NoteCommands()
    {
        foreach (CommandRun run in commands.Runs.Where(run => run is { Problem: not null, Moment: not "before-snapshot" }))
        {
            _problems.Add($"SNAP-126: the command {run.Moment}, {run.Program}, {run.Problem}");
        }
    }

    private static IEnumerable<OperationVolume> VolumesOf(ImagingSource source) => source switch
    {
        AttachedSource attached => [new OperationVolume(source.Name, attached.Volume.Device, attached.Volume.MountPoint)],
        MountedSource mounted => mounted.Volume.MountPoints.Select(mountPoint => new OperationVolume(source.Name, mounted.Volume.Device, mountPoint)),
        ColdSource cold => [new OperationVolume(source.Name, cold.Path, null)],
        _ => [new OperationVolume(source.Name, source.Name, null)],
    };
}
