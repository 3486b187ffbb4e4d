using System.CommandLine;
using Quench.Blocks;

namespace Quench.Cli.Commands.Activity;

/// <summary>The options of quench activity.</summary>
internal sealed class ActivityOptions
{
    private static readonly TimeSpan[] s_usualLengths = [TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(10), TimeSpan.FromHours(1)];

    private readonly Argument<string?> _volume = new("VOLUME")
    {
        Arity = ArgumentArity.ZeroOrOne,
        Description = "A device, a place where one is mounted, or an attached volume's name. Left out with --from.",
    };

    private readonly Option<TimeSpan> _for = DurationText.Option("--for", "How long to watch: 90s, 10min, 1h. Without it: until Ctrl-C.");
    private readonly Option<bool> _live = new("--live") { Description = "Print each write as it is heard, and the summary at the end." };
    private readonly Option<string?> _log = new("--log") { HelpName = "FILE", Description = "Also append what is heard to a log, which --from reads. A few bytes for each write." };
    private readonly Option<string?> _from = new("--from") { HelpName = "LOG", Description = "Watch nothing; summarise a log." };
    private readonly Option<string?> _picture = new("--picture") { HelpName = "FILE.svg", Description = "Also draw a picture: when was written, by whom, and where on the volume." };
    private readonly Option<int> _top = new("--top") { HelpName = "N", Description = "Rows of each table. Default: 10.", DefaultValueFactory = _ => 10 };
    private readonly Option<TimeSpan> _backup = DurationText.Option("--backup-takes", "Forecast the diff area for a backup of this length too.");
    private readonly Option<bool> _json = CommonOptions.Json();

    /// <summary>Gives a command these options.</summary>
    public void AddTo(Command command)
    {
        command.Add(_volume);
        command.Add(_for);
        command.Add(_live);
        command.Add(_log);
        command.Add(_from);
        command.Add(_picture);
        command.Add(_top);
        command.Add(_backup);
        command.Add(_json);
    }

    /// <summary>Reads them.</summary>
    /// <exception cref="QuenchException">CLI-170: they contradict each other, or a picture would overwrite a file.</exception>
    public ActivityChoice Read(ParseResult parsed)
    {
        TimeSpan length = parsed.GetValue(_for);
        TimeSpan backup = parsed.GetValue(_backup);
        ActivityChoice choice = new()
        {
            Volume = parsed.GetValue(_volume),
            From = parsed.GetValue(_from),
            For = parsed.GetResult(_for) is null ? null : length,
            IsLive = parsed.GetValue(_live),
            Log = parsed.GetValue(_log),
            Picture = parsed.GetValue(_picture),
            Top = Math.Max(0, parsed.GetValue(_top)),
            BackupLengths = backup > TimeSpan.Zero ? [.. s_usualLengths, backup] : s_usualLengths,
            IsJson = parsed.GetValue(_json),
        };
        Demand(length > TimeSpan.Zero || parsed.GetResult(_for) is null, "--for is longer than nothing");
        Demand(choice.Volume is null != choice.From is null, "name a volume to watch, or a log with --from: one of the two");
        Demand(choice.From is null || (choice.For is null && !choice.IsLive && choice.Log is null), "--from reads a log, so --for, --live and --log have no place");
        Demand(choice.Picture is null || choice.Picture.EndsWith(".svg", StringComparison.OrdinalIgnoreCase), "--picture draws SVG: name a file that ends in .svg");
        Demand(choice.Picture is null || (!Path.Exists(choice.Picture) && Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(choice.Picture)))), "--picture makes a new file in a folder that exists, and overwrites none");
        return choice;
    }

    private static void Demand(bool isRight, string what)
    {
        if (!isRight)
        {
            throw new QuenchException("CLI-170", what, "quench activity --help") { Effect = "nothing was touched", ExitCode = ExitCodes.Usage };
        }
    }
}
