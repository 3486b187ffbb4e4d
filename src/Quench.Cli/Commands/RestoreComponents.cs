using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Imaging.Recovery.Components;
using Quench.Snapshots.Coordination;
using Quench.Vault;

namespace Quench.Cli.Commands;

/// <summary>What both kinds of restore know.</summary>
/// <param name="Yes">Replace without asking.</param>
/// <param name="DryRun">Print the plan alone.</param>
/// <param name="Json">For scripts.</param>
internal sealed record RestoreSwitches(bool Yes, bool DryRun, bool Json);

/// <summary>quench restore --component: puts one application's files back the way its writer says.</summary>
internal sealed class RestoreComponents
{
    private readonly Option<string[]> _components = new("--component", "--components")
    {
        HelpName = "WRITER/COMPONENT",
        Description = "Put this component's files back instead of a volume: the writer alone does when it has one. A list with commas, or given several times.",
    };

    private readonly Option<string?> _to = new("--to") { HelpName = "FOLDER", Description = "Put a component's files below this folder, under their full paths, and leave the application alone." };
    private readonly Option<bool> _discard = new("--discard-replaced") { Description = "Remove the files that a component's replaced, once all is done, instead of keeping them beside." };
    private readonly WriterOptions _writers = new();

    /// <summary>Gives the command its options, and keeps them apart from those for volumes.</summary>
    public void AddTo(Command command, Argument<string?> target, params Option[] forVolumes)
    {
        foreach (Option option in (Option[])[_components, _to, _discard])
        {
            command.Add(option);
        }

        _writers.AddSearchTo(command);
        command.Validators.Add(given =>
        {
            bool isTarget = given.GetResult(target) is { Tokens.Count: > 0 };
            if (given.GetResult(_components) is null)
            {
                if (!isTarget)
                {
                    given.AddError("name a TARGET to write a volume to, or a component to put back: --component WRITER/COMPONENT");
                }

                if (given.GetResult(_to) is not null || given.GetResult(_discard) is not null)
                {
                    given.AddError("--to and --discard-replaced go with --component");
                }
            }
            else if (isTarget || forVolumes.Any(option => given.GetResult(option) is { Implicit: false }))
            {
                given.AddError("--component goes with --to, and not with TARGET or an option for volumes");
            }
        });
    }

    /// <summary>Whether a component is asked for.</summary>
    public bool AreGiven(ParseResult parsed) => parsed.GetResult(_components) is not null;

    /// <summary>Plans, asks, does it and tells.</summary>
    public async Task<int> RunAsync(CliHost host, ParseResult parsed, BackupVault vault, RecoveryPoint point, RestoreSwitches switches, CancellationToken cancellationToken)
    {
        Privilege.Demand(host, "put an application's files back");
        ComponentRequest request = new(ComponentWords.Split(parsed.GetValue(_components))) { To = parsed.GetValue(_to), DiscardReplaced = parsed.GetValue(_discard) };
        await using ComponentRestore restore = await ComponentRestore.PlanAsync(
            vault, point, request, _writers.ForRestore(parsed, MountedFileSystems.All()), host.Clock, cancellationToken);
        ComponentRestorePlan plan = restore.Plan;
        if (switches.DryRun)
        {
            ComponentPlanText.Write(host.Output, plan, switches.Json);
            return ExitCodes.Done;
        }

        ComponentPlanText.Write(host.Error, plan, json: false);
        if (plan.ReplacedCount > 0)
        {
            string where = string.Join(", ", plan.Folders.Where(folder => folder.ReplacedCount > 0).Select(folder => folder.Target.Path));
            Consent.Demand(host, switches.Yes, $"Files in {where} will be replaced{(plan.DiscardsReplaced ? " and removed" : "")}.", $"replace files in {where}");
        }

        try
        {
            ComponentRestoreResult result = await restore.RunAsync(cancellationToken);
            Tell(host, plan, result, switches.Json);
            return result.NotTold.Count == 0 ? ExitCodes.Done : ExitCodes.Failed;
        }
        catch (OperationCanceledException failure) when (cancellationToken.IsCancellationRequested)
        {
            throw new QuenchException("CLI-130", "interrupted", cause: failure) { Effect = "the application's files are untouched", ExitCode = ExitCodes.Interrupted };
        }
    }

    private static void Tell(CliHost host, ComponentRestorePlan plan, ComponentRestoreResult result, bool json)
    {
        foreach (string right in result.PutRight)
        {
            host.Error.WriteLine(right);
        }

        host.Error.WriteLine($"restored {string.Join(", ", plan.Components.Select(component => component.Name))}: {result.FileCount} files, {ByteSize.Format(result.Bytes)}{(plan.IsInPlace ? "" : $", below {plan.Target}")}");
        foreach ((string folder, string kept) in result.Kept)
        {
            host.Error.WriteLine($"what was in {folder} is kept: {kept}");
        }

        foreach ((WriterIdentity writer, string why) in result.NotTold)
        {
            host.Error.WriteLine($"WARNING RST-142: the files are back, and {writer} could not go on: {why}");
        }

        if (json)
        {
            ComponentPlanText.WriteSummary(host.Output, plan, result);
        }
    }
}
