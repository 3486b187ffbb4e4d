using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench forget: recovery points that are no longer wanted.</summary>
internal sealed class ForgetCommand
{
    private static readonly Dictionary<ForgetConcernKind, string> s_consents = new()
    {
        [ForgetConcernKind.LastOfVolume] = "--even-last",
        [ForgetConcernKind.FutureDated] = "--trust-clock",
        [ForgetConcernKind.ClockWentBack] = "--trust-clock",
    };

    private readonly CliHost _host;
    private readonly Argument<string[]> _points = new("POINT")
    {
        Arity = ArgumentArity.ZeroOrMore,
        Description = "The first digits of the ids of points to forget; or say by --keep-… which ones stay.",
    };

    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<int> _last = Count("--keep-last", "Keep the newest N points.");
    private readonly Option<int> _hourly = Count("--keep-hourly", "Keep the newest point of each of the newest N hours that have any.");
    private readonly Option<int> _daily = Count("--keep-daily", "The same of days.");
    private readonly Option<int> _weekly = Count("--keep-weekly", "The same of weeks, which begin on Monday.");
    private readonly Option<int> _monthly = Count("--keep-monthly", "The same of months.");
    private readonly Option<int> _yearly = Count("--keep-yearly", "The same of years.");
    private readonly Option<TimeSpan> _within = DurationText.Option("--keep-within", "Keep all points that are at most this much older than the newest of their group: 12h, 14d, 6mo.");
    private readonly Option<string[]> _keepTags = new("--keep-tag") { HelpName = "WORD", Description = "Keep points with this word; may be given several times." };
    private readonly Option<string?> _byHost = new("--host") { HelpName = "NAME", Description = "Look at points of this machine only." };
    private readonly Option<string?> _byTag = new("--tag") { HelpName = "WORD", Description = "Look at points with this word only." };
    private readonly Option<string?> _byVolume = new("--volume") { HelpName = "NAME", Description = "Look at points that hold a volume of this name only." };
    private readonly Option<bool> _dryRun = new("--dry-run", "-n") { Description = "Print the plan, and do nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Forget without asking, also when it is more than half of a group." };
    private readonly Option<bool> _evenLast = new("--even-last") { Description = "Agree that no recovery point of a volume is left." };
    private readonly Option<bool> _trustClock = new("--trust-clock") { Description = "Agree that this machine's clock is right although the vault knows of later times." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private ForgetCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        ForgetCommand forget = new(host);
        Command command = new("forget", HelpText.Of("forget"))
        {
            forget._points, forget._vault, forget._last, forget._hourly, forget._daily, forget._weekly, forget._monthly, forget._yearly, forget._within,
            forget._keepTags, forget._byHost, forget._byTag, forget._byVolume, forget._dryRun, forget._yes, forget._evenLast, forget._trustClock, forget._json,
        };
        command.Run(host, forget.RunAsync);
        return command;
    }

    private static Option<int> Count(string name, string description)
    {
        Option<int> option = new(name) { HelpName = "N", Description = description };
        option.Validators.Add(given =>
        {
            if (given.GetValueOrDefault<int>() < 0)
            {
                given.AddError($"{name} is a number of points, not below zero");
            }
        });
        return option;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        ForgetRequest request = RequestFrom(parsed);
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        ForgetPlan plan = await open.Vault.PlanForgetAsync(request, cancellationToken);
        bool json = parsed.GetValue(_json);
        if (parsed.GetValue(_dryRun))
        {
            ForgetPlanText.Write(_host.Output, plan, json);
            return ExitCodes.Done;
        }

        ForgetPlanText.Write(_host.Error, plan, json: false);
        List<ForgetConcernKind> consent = ConsentOf(plan, parsed);
        if (plan.Going.Count > 0)
        {
            string points = $"{plan.Going.Count} recovery points";
            Consent.Demand(_host, parsed.GetValue(_yes), $"{points} will be forgotten.", $"forget {points}");
            await open.Vault.ForgetAsync(plan, consent, request.Policy is null ? "named" : "policy", cancellationToken);
        }

        Tell(plan, json);
        return ExitCodes.Done;
    }

    private ForgetRequest RequestFrom(ParseResult parsed)
    {
        string[] points = parsed.GetValue(_points) ?? [];
        RetentionPolicy policy = new()
        {
            KeepLast = parsed.GetValue(_last),
            KeepHourly = parsed.GetValue(_hourly),
            KeepDaily = parsed.GetValue(_daily),
            KeepWeekly = parsed.GetValue(_weekly),
            KeepMonthly = parsed.GetValue(_monthly),
            KeepYearly = parsed.GetValue(_yearly),
            KeepWithin = parsed.GetValue(_within),
            KeepTags = parsed.GetValue(_keepTags) ?? [],
        };
        ForgetRequest filters = new() { Host = parsed.GetValue(_byHost), Tag = parsed.GetValue(_byTag), Volume = parsed.GetValue(_byVolume) };
        bool filtered = filters is not { Host: null, Tag: null, Volume: null };
        return (points.Length > 0, policy.KeepsNothing) switch
        {
            (true, true) when !filtered => filters with { Points = points },
            (false, false) => filters with { Policy = policy },
            (true, _) => throw Unclear("points are named, and rules or filters are given too: only one of the two can choose"),
            _ => throw Unclear("neither a point is named, nor is there a rule that keeps any"),
        };
    }

    private static QuenchException Unclear(string what) =>
        new("CLI-120", what, "name points, or say by --keep-last, --keep-daily, --keep-within… which ones stay") { ExitCode = ExitCodes.Usage };

    /// <summary>What --yes does not cover is asked for by name: nobody types that by habit, and no script has it by accident.</summary>
    private List<ForgetConcernKind> ConsentOf(ForgetPlan plan, ParseResult parsed)
    {
        List<ForgetConcernKind> consent = [ForgetConcernKind.MoreThanHalf];
        if (parsed.GetValue(_evenLast))
        {
            consent.Add(ForgetConcernKind.LastOfVolume);
        }

        if (parsed.GetValue(_trustClock))
        {
            consent.AddRange([ForgetConcernKind.FutureDated, ForgetConcernKind.ClockWentBack]);
        }

        return plan.Concerns.FirstOrDefault(concern => !consent.Contains(concern.Kind)) is { } concern
            ? throw new QuenchException("CLI-121", $"nothing was forgotten: {concern.What}", $"say {s_consents[concern.Kind]} as well if that is meant")
            : consent;
    }

    private void Tell(ForgetPlan plan, bool json)
    {
        if (json)
        {
            ForgetPlanText.WriteJson(_host.Output, plan, "summary");
            return;
        }

        _host.Error.WriteLine(plan.Going.Count == 0
            ? "nothing to forget"
            : $"{plan.Going.Count} recovery points are forgotten; quench vault prune gives back the room that only they needed");
    }
}
