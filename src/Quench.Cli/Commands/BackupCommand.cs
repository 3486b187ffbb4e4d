using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Commands.Activity;
using Quench.Cli.Output;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture;
using Quench.Imaging.Capture.Exclusions;
using Quench.Imaging.Sources;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Providers.Filter;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench backup: images a volume into the vault.</summary>
internal sealed class BackupCommand
{
    private static readonly string[] s_grades = ["crash", "file-system", "application"];

    private readonly CliHost _host;
    private readonly Argument<string[]> _sources = new("SOURCE")
    {
        Description = "An attached volume by its name, its device or its mount point; a mounted device or its mount point; a disk; or a device or an image file that is not in use. Several attached volumes, or several mounted devices, are imaged at one instant, as one point.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<bool> _prove = new("--prove")
    {
        Description = "Read the snapshot again and hold it against what the vault gives back, before the point is committed.",
    };

    private readonly Option<string[]> _tags = new("--tag") { HelpName = "WORD", Description = "A word to find the point by; may be given several times." };
    private readonly Option<long?> _memory = CommonOptions.Size("--diff-area-memory", "Memory for old blocks that are overwritten during the backup. 128M when not given.");
    private readonly Option<string?> _spill = new("--diff-area")
    {
        HelpName = "FOLDER",
        Description = "A folder for old blocks that memory has no room for, on another disk than the volume's; \"none\" for memory alone. /var/tmp when not given.",
    };

    private readonly Option<long?> _size = CommonOptions.Size("--diff-area-size", "The most that may be kept of old blocks, memory included. Memory and a tenth of the volume when not given, but no more than half of what is free.");
    private readonly Option<bool> _noFreeze = new("--no-freeze") { Description = "Don't freeze the file system: the point is of crash grade." };
    private readonly Option<double> _freezeLimit = new("--freeze-limit")
    {
        HelpName = "SECONDS",
        Description = "How long the file system may be frozen: 0.1 to 60.",
        DefaultValueFactory = _ => 5,
    };

    private readonly Option<bool> _force = new("--force") { Description = "Image a file system that is not sound, as it is." };
    private readonly Option<string?> _require = new("--require") { HelpName = "GRADE", Description = "End with exit code 3 if the point's grade is lower: crash, file-system or application." };
    private readonly Option<string> _compression = new("--compression")
    {
        HelpName = "HOW",
        Description = "How hard to compress what is stored: none, fast, standard, small or smallest.",
        DefaultValueFactory = _ => "standard",
    };

    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly TakingOptions _taking = new();
    private readonly WriterOptions _writers = new();
    private readonly CommandOptions _commands = new();
    private readonly ExclusionOptions _exclusions = new();
    private readonly Option<bool> _freezeRoot = new("--freeze-root") { Description = "Image the machine's own root file system, which is frozen for a moment." };
    private readonly Option<bool> _noTrack = new("--no-track") { Description = "Leave no tracker in the kernel with a mounted device: its next backup reads everything." };
    private readonly Option<bool> _fullScan = new("--full-scan") { Description = "Read everything in use, whatever is known about what changed since the last point." };

    private readonly Option<bool> _whoWrote = new("--who-wrote") { Description = "Watch who writes to the volume meanwhile, and say so at the end; see quench activity." };

    private BackupCommand(CliHost host)
    {
        _host = host;
        _require.AcceptOnlyFromAmong(s_grades!);
        _compression.AcceptOnlyFromAmong([.. Enum.GetNames<Compression>().Select(name => name.ToLowerInvariant())]);
        _freezeLimit.Validators.Add(given =>
        {
            if (given.GetValue(_freezeLimit) is not (>= 0.1 and <= 60))
            {
                given.AddError("--freeze-limit is a number of seconds from 0.1 to 60");
            }
        });
    }

    public static Command Make(CliHost host)
    {
        BackupCommand backup = new(host);
        Command command = new("backup", HelpText.Of("backup"))
        {
            backup._sources, backup._vault, backup._prove, backup._tags, backup._memory, backup._spill, backup._size, backup._noFreeze, backup._freezeLimit,
            backup._force, backup._compression,
            backup._require, backup._json, backup._fullScan, backup._freezeRoot, backup._noTrack, backup._whoWrote,
        };
        backup._exclusions.AddTo(command);
        backup._taking.AddTo(command);
        backup._writers.AddTo(command);
        backup._commands.AddTo(command);
        command.Run(host, backup.RunAsync);
        return command;
    }

    /// <summary>What can be refused is refused first: the sources, the diff area's sizes, the password. Only then is a volume touched.</summary>
    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        IReadOnlyList<ExclusionRule> leftOutByUser = _exclusions.ByUser(parsed);
        ImagingSource[] sources = [.. parsed.GetValue(_sources)!.Select(SourceResolver.ForThisMachine.Resolve)];
        SourceSet.DemandOneInstant(sources);
        SnapshotOptions options = OptionsFor(sources, parsed);
        BackupCommands commands = _commands.For(parsed, sources, _host);
        await using WriterCoordination? writers = CoordinatedBackup.AsksWriters(sources, options) ? _writers.For(parsed, CoordinatedBackup.VolumesOf(sources), _host.Clock) : null;
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        IReadOnlyList<ExclusionRule> leftOutByDefault = _exclusions.ByDefault(parsed, sources, open.Location);
        ExclusionRules Exclusions() => new([.. leftOutByUser, .. DefaultExclusions.Both(leftOutByDefault, _exclusions.ByDefault(parsed, sources, open.Location))]);
        Array.ForEach(sources, source => WarnOfVaultWithin(source, open));
        await using BackupWatch? watch = parsed.GetValue(_whoWrote) ? BackupWatch.Start(sources[0], _host) : null;
        CoordinatedBackup backup = new(sources, options, writers, commands, _host);
        CaptureResult result = await backup.RunAsync(set => ImageAsync(parsed, open, sources, set, backup, Exclusions(), cancellationToken), cancellationToken);
        BackupSummary summary = new(result, _host.Clock.GetUtcNow(), backup.Times) { WhoWrote = watch is null ? null : await watch.EndAsync() };
        summary.Write(_host, parsed.GetValue(_json));
        backup.WriteProblems();
        return GradeText.IsAtLeast(result.Grade, parsed.GetValue(_require) ?? "crash") ? ExitCodes.Done : RefuseGrade(result.Grade, parsed);
    }

    private Task<CaptureResult> ImageAsync(
        ParseResult parsed, OpenVault open, IReadOnlyList<ImagingSource> sources, SourceSet set, CoordinatedBackup backup, ExclusionRules exclusions, CancellationToken cancellationToken)
    {
        if (!parsed.GetValue(_force))
        {
            foreach (SourceMoment moment in set.Moments)
            {
                moment.DemandSound();
            }
        }

        return CaptureAsync(parsed, open, sources, set, backup, exclusions, cancellationToken);
    }

    /// <summary>Said before and not after: it may be why the snapshot breaks.</summary>
    private void WarnOfVaultWithin(ImagingSource source, OpenVault open)
    {
        if (source is AttachedSource attached && attached.Volume.Holds(open.Location))
        {
            _host.Error.WriteLine(
                $"warning: the vault {open.Location} lies on {source.Name} itself. What is stored overwrites blocks of the volume, whose old content goes into the diff area; "
                + "and a disk that dies takes the vault along. Keep a copy on another disk: quench vault copy");
        }
    }

    private SnapshotOptions OptionsFor(ImagingSource[] sources, ParseResult parsed)
    {
        if (sources.Length > 1 && parsed.GetValue(_whoWrote))
        {
            throw new QuenchException("CLI-152", "--who-wrote watches one volume, and several are named", "image that volume by itself, or watch it with quench activity meanwhile")
            {
                Effect = "nothing was read or written",
                ExitCode = ExitCodes.Usage,
            };
        }

        if (sources[0] is MountedSource mounted)
        {
            return OptionsFor(mounted, parsed);
        }

        if (sources[0] is not AttachedSource)
        {
            return new SnapshotOptions();
        }

        Privilege.Demand(_host, "take a snapshot of an attached volume");
        SnapshotOptions options = new DiffAreaChoice(parsed.GetValue(_memory), parsed.GetValue(_spill), parsed.GetValue(_size))
            .For(path => sources.OfType<AttachedSource>().Any(source => source.Volume.Holds(path)), freeze: !parsed.GetValue(_noFreeze), TimeSpan.FromSeconds(parsed.GetValue(_freezeLimit)));
        options = _taking.Complete(options, parsed, proves: parsed.GetValue(_prove));
        return options.Quiet is null || sources.Length == 1
            ? options
            : throw new QuenchException("CLI-153", "--quiet-wait waits for a pause of one volume, and several are named", "leave it out, or image that volume by itself")
            {
                Effect = "nothing was read or written",
                ExitCode = ExitCodes.Usage,
            };
    }

    private SnapshotOptions OptionsFor(MountedSource mounted, ParseResult parsed)
    {
        Privilege.Demand(_host, "track the writes to a mounted device");
        return parsed.GetValue(_noFreeze) || parsed.GetValue(_prove)
            ? throw new QuenchException(
                "CLI-150",
                parsed.GetValue(_prove)
                    ? $"--prove reads the instant a second time, and of {mounted.Volume.Device} it is kept only until it is stored"
                    : $"{mounted.Volume.Device} has no instant without a freeze: it is copied while it is written",
                "leave the option out, or attach the volume through Quench (`quench attach`), whose snapshots can be read again and need no freeze")
            {
                Effect = "nothing was read or written",
                ExitCode = ExitCodes.Usage,
            }
            : new SnapshotOptions
            {
                FreezeLimit = TimeSpan.FromSeconds(parsed.GetValue(_freezeLimit)),
                FreezeRoot = parsed.GetValue(_freezeRoot),
                TracksChanges = !parsed.GetValue(_noTrack),
            };
    }

    private async Task<CaptureResult> CaptureAsync(
        ParseResult parsed, OpenVault open, IReadOnlyList<ImagingSource> sources, SourceSet set, CoordinatedBackup backup, ExclusionRules exclusions, CancellationToken cancellationToken)
    {
        ActivityMonitor activity = new(_host.Clock);
        await using ProgressDisplay display = new(_host, activity, parsed.GetValue(_json));
        CaptureRequest[] requests = [.. set.Moments.Zip(sources, (moment, source) => moment.ToRequest(source.Name, _host.MachineName) with
        {
            Tags = parsed.GetValue(_tags) ?? [],
            Prove = parsed.GetValue(_prove),
            Settings = new CaptureSettings { Compression = Enum.Parse<Compression>(parsed.GetValue(_compression)!, ignoreCase: true) },
            FullScan = parsed.GetValue(_fullScan),
            Exclusions = exclusions,
            Writers = backup.Writers,
            Hooks = backup.HooksSoFar,
        })];
        return set.Set is { } together
            ? await VolumeCapture.RunAsync(requests, together, open.Vault, activity, _host.Clock, cancellationToken)
            : await VolumeCapture.RunAsync(requests, open.Vault, activity, _host.Clock, cancellationToken);
    }

    private int RefuseGrade(string grade, ParseResult parsed)
    {
        _host.Error.WriteLine($"the point is of {grade} grade, lower than the {parsed.GetValue(_require)} that --require asks for");
        return ExitCodes.LowerGrade;
    }
}
