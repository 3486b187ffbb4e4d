using System.CommandLine;
using System.CommandLine.Parsing;
using Quench.Blocks;
using Quench.Snapshots;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>The options that say when a snapshot is taken, how long that may last, and who pays when its diff area is full.</summary>
internal sealed class TakingOptions
{
    private const double DefaultHold = 5;
    private const string Hold = "hold";

    private static readonly TimeSpan s_defaultQuietWait = TimeSpan.FromMinutes(1);

    private readonly Option<string> _overflow = new("--overflow")
    {
        HelpName = "WHO",
        Description = "Who pays when the diff area is full: break, the snapshot, and with it this backup; or hold, whoever writes to the volume, until imaging has freed room.",
        DefaultValueFactory = _ => "break",
    };

    private readonly Option<double?> _holdLimit = Seconds("--hold-limit", $"With --overflow hold: how long a write may be held, 0.1 to 60, {DefaultHold:0} when not given. Then the snapshot breaks and the write goes on.", 0.1, 60);
    private readonly Option<double?> _takeLimit = Seconds("--snapshot-limit", "How long taking the snapshot may take in all, 0.1 to 60, 30 when not given. Then it is given up.", 0.1, 60);
    private readonly Option<string?> _quietWait = new("--quiet-wait")
    {
        HelpName = "DURATION",
        Description = "Take the snapshot in a pause between writes, and wait so long for one, 1min when not given; then take it anyway.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<double?> _quietPeriod = Seconds("--quiet-period", "How long no write may have come to make a pause, 0.01 to 60, 0.5 when not given.", 0.01, 60);
    private readonly Option<bool> _requireQuiet = new("--require-quiet") { Description = "With --quiet-wait: take no snapshot when there was no pause; exit code 11." };

    public TakingOptions()
    {
        _overflow.AcceptOnlyFromAmong("break", Hold);
        _quietWait.Validators.Add(given =>
        {
            if (given.GetValue(_quietWait) is { } text && !DurationText.TryParse(text, out _))
            {
                given.AddError($"--quiet-wait: \"{text}\" is not a duration; write it as 30s, 5min or 1h, or leave it out and end with another option");
            }
        });
    }

    /// <summary>Gives a command these options.</summary>
    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_overflow, _holdLimit, _takeLimit, _quietWait, _quietPeriod, _requireQuiet])
        {
            command.Add(option);
        }

        command.Validators.Add(given => Check(given));
    }

    /// <summary>Adds what was said to the other options of a snapshot.</summary>
    /// <exception cref="QuenchException">CLI-107, exit code 2: writers would be held in vain.</exception>
    public SnapshotOptions Complete(SnapshotOptions options, ParseResult parsed, bool proves)
    {
        bool holds = parsed.GetValue(_overflow) == Hold;
        if (holds && proves)
        {
            throw new QuenchException("CLI-107", "--overflow hold and --prove don't go together", "a proof needs every old block to its end, so imaging frees no room that a held writer could wait for: leave one of the two out")
            {
                Effect = "no snapshot was taken",
                ExitCode = ExitCodes.Usage,
            };
        }

        return options with
        {
            HoldLimit = holds ? TimeSpan.FromSeconds(parsed.GetValue(_holdLimit) ?? DefaultHold) : TimeSpan.Zero,
            TakeLimit = parsed.GetValue(_takeLimit) is { } limit ? TimeSpan.FromSeconds(limit) : options.TakeLimit,
            Quiet = QuietFrom(parsed),
        };
    }

    private void Check(CommandResult given)
    {
        if (given.GetValue(_holdLimit) is not null && given.GetValue(_overflow) != Hold)
        {
            given.AddError("--hold-limit says how long a writer is held, which --overflow hold allows");
        }

        if (given.GetResult(_quietWait) is null && (given.GetValue(_quietPeriod) is not null || given.GetValue(_requireQuiet)))
        {
            given.AddError("--quiet-period and --require-quiet belong to --quiet-wait");
        }
    }

    private QuietWait? QuietFrom(ParseResult parsed)
    {
        if (parsed.GetResult(_quietWait) is null)
        {
            return null;
        }

        TimeSpan limit = DurationText.TryParse(parsed.GetValue(_quietWait) ?? "", out TimeSpan wanted) ? wanted : s_defaultQuietWait;
        return new QuietWait(limit, TimeSpan.FromSeconds(parsed.GetValue(_quietPeriod) ?? 0.5), parsed.GetValue(_requireQuiet));
    }

    private static Option<double?> Seconds(string name, string description, double least, double most)
    {
        Option<double?> option = new(name) { HelpName = "SECONDS", Description = description };
        option.Validators.Add(given =>
        {
            if (given.GetValue(option) is { } seconds && !(seconds >= least && seconds <= most))
            {
                given.AddError($"{name} is a number of seconds from {least} to {most}");
            }
        });
        return option;
    }
}
