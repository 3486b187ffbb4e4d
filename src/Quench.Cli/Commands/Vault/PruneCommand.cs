using System.CommandLine;
using System.Globalization;
using Quench.Cli.Output;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>quench vault prune: gives back the room that no recovery point needs.</summary>
internal sealed class PruneCommand
{
    private readonly CliHost _host;
    private readonly Option<string?> _vault = CommonOptions.Vault();
    private readonly Option<double> _repackBelow = new("--repack-below")
    {
        HelpName = "PERCENT",
        Description = "Write a pack anew without its garbage when less than this share of it is still needed: 0% for never. 50% when not given.",
        DefaultValueFactory = _ => 0.5,
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            if (double.TryParse(text.TrimEnd('%'), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double percent) && percent is >= 0 and <= 100)
            {
                return percent / 100;
            }

            result.AddError($"--repack-below: \"{text}\" is not a percentage from 0% to 100%");
            return 0;
        },
    };

    private readonly Option<TimeSpan> _wait = DurationText.Option("--wait", "Wait this long for backups that run elsewhere before they are told to begin again. Not at all when not given.");
    private readonly Option<bool> _dryRun = new("--dry-run", "-n") { Description = "Print the plan, and do nothing." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Delete without asking." };
    private readonly Option<bool> _trustClock = new("--trust-clock") { Description = "Agree that this machine's clock is right although the vault knows of later times." };
    private readonly Option<bool> _json = CommonOptions.Json();

    private PruneCommand(CliHost host) => _host = host;

    public static Command Make(CliHost host)
    {
        PruneCommand prune = new(host);
        Command command = new("prune", HelpText.Of("prune"))
        {
            prune._vault, prune._repackBelow, prune._wait, prune._dryRun, prune._yes, prune._trustClock, prune._json,
        };
        command.Run(host, prune.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        await using OpenVault open = await OpenVault.OpenAsync(parsed, _vault, _host, cancellationToken);
        PruneSettings settings = new()
        {
            RepackBelow = parsed.GetValue(_repackBelow),
            Wait = parsed.GetValue(_wait),
            TrustClock = parsed.GetValue(_trustClock),
        };
        PruneDisplay display = new(_host, parsed.GetValue(_json));
        PrunePlan plan = await open.Vault.PlanPruneAsync(settings, display, cancellationToken);
        bool json = parsed.GetValue(_json);
        if (parsed.GetValue(_dryRun))
        {
            PruneText.Write(_host.Output, plan, json);
            return ExitCodes.Done;
        }

        PruneText.Write(_host.Error, plan, json: false);
        PruneReport report = PruneReport.Nothing;
        if (!plan.IsEmpty)
        {
            Consent.Demand(
                _host, parsed.GetValue(_yes), "What no recovery point needs will be deleted.", $"delete {plan.DeadPacks + plan.RepackedPacks} packs");
            report = await open.Vault.PruneAsync(plan, display, cancellationToken);
        }

        PruneText.Tell(_host, report, json);
        return ExitCodes.Done;
    }
}
