using System.CommandLine;
using Quench.Imaging.Sources;
using Quench.Snapshots.Coordination.Programs;

namespace Quench.Cli.Commands;

/// <summary>The options that name the user's own commands around a backup.</summary>
internal sealed class CommandOptions
{
    private readonly Option<string?> _before = Program("--before-snapshot", "A program to run before the snapshot. Any exit code but 0 means that no snapshot is taken.");
    private readonly Option<string?> _after = Program("--after-snapshot", "A program to run right after the snapshot; also when there was none, once the one before it was begun.");
    private readonly Option<string?> _end = Program("--after-backup", "A program to run in the end, told the outcome.");
    private readonly Option<double> _limit = new("--command-limit")
    {
        HelpName = "SECONDS",
        Description = "How long each of these programs may run: 0.1 to 600. Then it is ended, with all that it started.",
        DefaultValueFactory = _ => 60,
    };

    public CommandOptions() => _limit.Validators.Add(given =>
    {
        if (given.GetValue(_limit) is not (>= 0.1 and <= 600))
        {
            given.AddError("--command-limit is a number of seconds from 0.1 to 600");
        }
    });

    /// <summary>Gives a command these options.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_before, _after, _end, _limit])
        {
            command.Add(option);
        }
    }

    /// <summary>The commands of a backup, checked before anything is begun.</summary>
    public BackupCommands For(ParseResult parsed, IReadOnlyList<ImagingSource> sources, CliHost host) =>
        new(parsed.GetValue(_before), parsed.GetValue(_after), parsed.GetValue(_end), CoordinatedBackup.VolumesOf(sources), CoordinatedBackup.ProviderOf(sources[0]), host.Clock)
        {
            Limit = TimeSpan.FromSeconds(parsed.GetValue(_limit)),
        };

    private static Option<string?> Program(string name, string description) => new(name) { HelpName = "PROGRAM", Description = description };
}
