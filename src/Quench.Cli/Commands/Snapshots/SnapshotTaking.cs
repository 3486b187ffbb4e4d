using System.CommandLine;
using Quench.Imaging.Capture;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Snapshots;

/// <summary>How persistent snapshots are taken: the options that all commands share which take some, and the taking itself.</summary>
internal sealed class SnapshotTaking
{
    private static readonly string[] s_grades = ["crash", "file-system", "application"];

    private readonly Option<string> _label = new("--label") { HelpName = "TEXT", Description = "What to call it.", DefaultValueFactory = _ => "" };
    private readonly Option<string?> _store = new("--store")
    {
        HelpName = "FOLDER",
        Description = "Where overwritten blocks are kept, on another disk than the volume's. Only with a volume's first snapshot.",
    };

    private readonly Option<long?> _size = CommonOptions.Size("--store-size", "The most that may be kept, taken from the disk at once. A tenth of the volume when not given, but no more than half of what is free. Only with a volume's first snapshot.");
    private readonly Option<bool> _noFreeze = new("--no-freeze") { Description = "Don't freeze the file systems: the snapshots are of crash grade." };
    private readonly Option<double> _freezeLimit = new("--freeze-limit")
    {
        HelpName = "SECONDS",
        Description = "How long writers may be held: 0.1 to 60.",
        DefaultValueFactory = _ => 5,
    };

    private readonly Option<string?> _require = new("--require") { HelpName = "GRADE", Description = "Keep no snapshot, and end with exit code 3, if one is of a lower grade: crash, file-system or application." };
    private readonly WriterOptions _writers = new();

    public SnapshotTaking()
    {
        _require.AcceptOnlyFromAmong(s_grades!);
        _freezeLimit.Validators.Add(given =>
        {
            if (given.GetValue(_freezeLimit) is not (>= 0.1 and <= 60))
            {
                given.AddError("--freeze-limit is a number of seconds from 0.1 to 60");
            }
        });
    }

    /// <summary>The argument that names the volumes.</summary>
    public static Argument<string[]> Volumes() => new("VOLUME")
    {
        Description = "Attached volumes, by their names, devices or mount points: all get the same instant, or none gets a snapshot.",
        Arity = ArgumentArity.OneOrMore,
    };

    /// <summary>Gives a command these options.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_label, _store, _size, _noFreeze, _freezeLimit, _require])
        {
            command.Add(option);
        }

        _writers.AddHoldTo(command);
    }

    /// <summary>Takes them.</summary>
    /// <param name="host">The machine.</param>
    /// <param name="parsed">What was said.</param>
    /// <param name="words">The volumes, as the user named them.</param>
    /// <param name="cancellationToken">Gives up before the instant.</param>
    /// <returns>The snapshots, and the exit code: 3 when their grade was too low; they are deleted again then.</returns>
    public async Task<(IReadOnlyList<KeptSnapshot> Snapshots, int ExitCode)> TakeAsync(CliHost host, ParseResult parsed, IReadOnlyList<string> words, CancellationToken cancellationToken)
    {
        AttachedVolume[] volumes = [.. words.Select(SnapshotCommand.Find).DistinctBy(volume => volume.Name)];
        await using WriterCoordination? writers = parsed.GetValue(_noFreeze) ? null : _writers.For(parsed, OperationVolumes(volumes), host.Clock);
        KeepOptions options = new()
        {
            Label = parsed.GetValue(_label) ?? "",
            StoreFolder = parsed.GetValue(_store),
            StoreBytes = parsed.GetValue(_size),
            Freeze = !parsed.GetValue(_noFreeze),
            FreezeLimit = TimeSpan.FromSeconds(parsed.GetValue(_freezeLimit)),
            Writers = writers,
        };
        IReadOnlyList<KeptSnapshot> snapshots = await PersistentSnapshots.CreateAsync(volumes, options, host.Clock, cancellationToken);
        if (parsed.GetValue(_require) is { } wanted && !GradeText.IsAtLeast(GradeText.Lowest(snapshots.Select(snapshot => GradeText.Of(snapshot.Grade))), wanted))
        {
            Refuse(host, volumes, snapshots, wanted);
            return ([], ExitCodes.LowerGrade);
        }

        await TellWritersAsync(host, writers, cancellationToken);
        WriteGrades(host, snapshots);
        return (snapshots, ExitCodes.Done);
    }

    /// <summary>The volumes as applications see them.</summary>
    public static IReadOnlyList<OperationVolume> OperationVolumes(IEnumerable<AttachedVolume> volumes) =>
        [.. volumes.Select(volume => new OperationVolume(volume.Name, volume.Device, volume.MountPoint))];

    /// <summary>Tells the applications that their snapshot stands, and says who did not take it.</summary>
    public static async Task TellWritersAsync(CliHost host, WriterCoordination? writers, CancellationToken cancellationToken)
    {
        if (writers is null)
        {
            return;
        }

        foreach (WriterReport report in (await writers.CompleteAsync(writers.SetId, cancellationToken)).Where(report => report.State == WriterState.FailedAtBackupComplete))
        {
            host.Error.WriteLine($"WARNING SNAP-128: the writer {report.Identity} did not take the outcome: {report.Message}");
        }
    }

    /// <summary>Says of each volume how it was held.</summary>
    public static void WriteGrades(CliHost host, IReadOnlyList<KeptSnapshot> snapshots)
    {
        foreach (KeptSnapshot snapshot in snapshots)
        {
            host.Error.WriteLine($"{snapshot.Volume}: {GradeText.Of(snapshot.Grade)} grade{string.Concat((snapshot.Set?.Writers ?? []).Select(WriterWords))}");
        }
    }

    private static string WriterWords(KeptWriter writer) => writer.IsConsistent ? $"; {writer.Name} held" : $"; {writer.Name} did NOT hold: {writer.Message ?? "it was not asked"}";

    private static void Refuse(CliHost host, AttachedVolume[] volumes, IReadOnlyList<KeptSnapshot> snapshots, string wanted)
    {
        WriteGrades(host, snapshots);
        foreach (KeptSnapshot snapshot in snapshots)
        {
            PersistentSnapshots.Delete(volumes.First(volume => volume.Name == snapshot.Volume), snapshot.Number);
        }

        host.Error.WriteLine($"a snapshot is of lower grade than the {wanted} that --require asks for: none was kept; the volumes are unaffected");
    }
}
