using System.CommandLine;
using Quench.Snapshots.Coordination;
using Quench.Snapshots.Coordination.Remote;
using Quench.Snapshots.Coordination.Writers;

namespace Quench.Cli.Commands;

/// <summary>The options that say which applications are held, where they are looked for, and how long that may last.</summary>
internal sealed class WriterOptions
{
    private const double DefaultWriters = 20;
    private const double DefaultProvider = 5;

    private readonly Option<bool> _none = new("--no-writers") { Description = "Ask no application to hold its writes: the point is of file-system grade at best." };
    private readonly Option<string[]> _components = new("--component", "--components")
    {
        HelpName = "NAME",
        Description = "Ask only these: a writer's name, or writer/component. A list with commas, or given several times. What is not asked for keeps the volume below application grade.",
    };

    private readonly Option<string[]> _settings = new("--writer-option") { HelpName = "NAME=VALUE", Description = "A setting of a writer, such as sqlite.databases=/srv/app/data.db; may be given several times. Never a password: name the file that it lies in." };
    private readonly Option<string> _folder = new("--writer-folder") { HelpName = "FOLDER", Description = "Where writer programs lie.", DefaultValueFactory = _ => ProgramWriters.DefaultFolder };
    private readonly Option<string> _sockets = new("--writer-sockets") { HelpName = "FOLDER", Description = "Where running writers listen.", DefaultValueFactory = _ => RegisteredWriters.DefaultFolder };
    private readonly Option<double?> _writers = Seconds("--writer-limit", $"How long applications may be held: 0.2 to 60, {DefaultWriters:0} when not given.", 0.2, 60);
    private readonly Option<double?> _provider = Seconds("--provider-limit", $"How long the snapshot may take while they are held: 0.1 to 10, {DefaultProvider:0} when not given, and less than --writer-limit.", 0.1, 10);
    private readonly Option<bool> _truncate = new("--truncate-logs") { Description = "Let applications truncate logs that this point holds, once it is stored. Without it the backup leaves no trace in them." };

    /// <summary>Gives a command those options that matter wherever writers are spoken to.</summary>
    public void AddSearchTo(Command command)
    {
        foreach (Option option in (Option[])[_settings, _folder, _sockets, _writers, _provider])
        {
            command.Add(option);
        }

        _settings.Validators.Add(given =>
        {
            if (given.GetValue(_settings) is { } words && words.Any(word => word.IndexOf('=', StringComparison.Ordinal) < 1))
            {
                given.AddError("--writer-option is a name, an equals sign and a value: sqlite.databases=/srv/app/data.db");
            }
        });
        command.Validators.Add(given =>
        {
            if ((given.GetValue(_provider) ?? DefaultProvider) >= (given.GetValue(_writers) ?? DefaultWriters))
            {
                given.AddError("--provider-limit must be less than --writer-limit");
            }
        });
    }

    /// <summary>Gives a command those that matter wherever writers are held.</summary>
    public void AddHoldTo(Command command)
    {
        AddSearchTo(command);
        command.Add(_none);
        command.Add(_components);
    }

    /// <summary>Gives a command all of them.</summary>
    public void AddTo(Command command)
    {
        AddHoldTo(command);
        command.Add(_truncate);
    }

    /// <summary>The applications of a backup; null when none are to be asked.</summary>
    public WriterCoordination? For(ParseResult parsed, IReadOnlyList<OperationVolume> volumes, TimeProvider clock) =>
        parsed.GetValue(_none) ? null : For(parsed, volumes, clock, new Wishes(ComponentWords.Split(parsed.GetValue(_components)), parsed.GetValue(_truncate), Retries: 1));

    /// <summary>The applications on some volumes, for a look or a test.</summary>
    public WriterCoordination For(ParseResult parsed, IReadOnlyList<OperationVolume> volumes, IReadOnlyList<string>? components, TimeProvider clock) =>
        For(parsed, volumes, clock, new Wishes(components, Truncates: false, Retries: 0));

    /// <summary>The applications on some volumes, but for those that are excluded.</summary>
    public WriterCoordination Except(ParseResult parsed, IReadOnlyList<OperationVolume> volumes, IReadOnlyList<string> excluded, TimeProvider clock) =>
        For(parsed, volumes, clock, new Wishes(null, Truncates: false, Retries: 1) { Excluded = excluded });

    /// <summary>Where writers are looked for, and how long they may take, when their files are put back.</summary>
    public CoordinationOptions ForRestore(ParseResult parsed, IReadOnlyList<OperationVolume> volumes) => Options(parsed, volumes, new Wishes(null, Truncates: false, Retries: 0));

    private WriterCoordination For(ParseResult parsed, IReadOnlyList<OperationVolume> volumes, TimeProvider clock, Wishes wishes) => new(Options(parsed, volumes, wishes), clock);

    private CoordinationOptions Options(ParseResult parsed, IReadOnlyList<OperationVolume> volumes, Wishes wishes) =>
        new()
        {
            Volumes = volumes,
            Sources = [.. BuiltInWriters.All, new RegisteredWriters(parsed.GetValue(_sockets)!), new ProgramWriters(parsed.GetValue(_folder)!)],
            Settings = new WriterSettings((parsed.GetValue(_settings) ?? []).Select(word => word.Split('=', 2)).ToLookup(pair => pair[0], pair => pair[1]).ToDictionary(pair => pair.Key, pair => pair.Last())),
            Limits = new CoordinationLimits { Writers = TimeSpan.FromSeconds(parsed.GetValue(_writers) ?? DefaultWriters), Provider = TimeSpan.FromSeconds(parsed.GetValue(_provider) ?? DefaultProvider) },
            Components = wishes.Components is { Count: > 0 } some ? some : null,
            Excluded = wishes.Excluded,
            Kind = wishes.Truncates ? BackupKind.Full : BackupKind.Copy,
            Retries = wishes.Retries,
        };

    private static Option<double?> Seconds(string name, string description, double least, double most)
    {
        Option<double?> option = new(name) { HelpName = "SECONDS", Description = description };
        option.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<double?>() is { } seconds && !(seconds >= least && seconds <= most))
            {
                given.AddError(FormattableString.Invariant($"{name} is a number of seconds from {least} to {most}"));
            }
        });
        return option;
    }

    private sealed record Wishes(IReadOnlyList<string>? Components, bool Truncates, int Retries)
    {
        public IReadOnlyList<string> Excluded { get; init; } = [];
    }
}
