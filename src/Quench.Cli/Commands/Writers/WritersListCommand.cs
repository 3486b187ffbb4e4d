using System.CommandLine;
using Quench.Cli.Output;
using Quench.Snapshots.Coordination;

namespace Quench.Cli.Commands.Writers;

/// <summary>quench writers list, quench writers status: who was found, what they own; how they are. Asks each who it is, and holds nobody.</summary>
internal sealed class WritersListCommand(CliHost host, string name)
{
    private readonly Argument<string[]> _mountPoints = new("MOUNT-POINT") { Description = "Only applications with data on these file systems; all of the machine's when not given.", Arity = ArgumentArity.ZeroOrMore };
    private readonly WriterOptions _options = new();
    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly Option<string?> _format = new("--format") { HelpName = "SHAPE", Description = "vssadmin: as `vssadmin list writers` prints it." };

    public Command Make()
    {
        _format.AcceptOnlyFromAmong("vssadmin");
        Command command = new(name, HelpText.Of($"writers-{name}")) { _mountPoints, _json, _format };
        _options.AddSearchTo(command);
        command.Run(host, RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(host, "ask applications what they own");
        await using WriterCoordination writers = _options.For(parsed, WritersCommand.Volumes(parsed.GetValue(_mountPoints)), null, host.Clock);
        IReadOnlyList<WriterReport> reports = await writers.IdentifyAsync(cancellationToken);
        WriterReport[] here = [.. reports.Where((_, index) => writers.Places.TouchesSet(index))];
        if (parsed.GetValue(_json))
        {
            WritersCommand.WriteJson(host.Output, here);
        }
        else if (parsed.GetValue(_format) is not null)
        {
            WritersCommand.WriteVssAdmin(host.Output, here);
        }
        else if (here.Length == 0)
        {
            host.Error.WriteLine("no application was found that could be held");
        }
        else
        {
            WriteTable(here);
        }

        return ExitCodes.Done;
    }

    private void WriteTable(WriterReport[] reports)
    {
        if (name == "status")
        {
            TextTable states = new("WRITER", "STATE", "LAST ERROR", "WHY");
            foreach (WriterReport report in reports)
            {
                states.Add(report.Identity.ToString(), WritersCommand.StateOf(report), WriterText.NameOf(report.Error), report.Message ?? "");
            }

            states.WriteTo(host.Output);
            return;
        }

        TextTable table = new("WRITER", "VERSION", "COMPONENT", "FOLDER", "HOLDS BY");
        foreach (WriterReport report in reports)
        {
            if (report.Metadata is not { Components.Count: > 0 } metadata)
            {
                table.Add(report.Identity.ToString(), report.Metadata?.Version ?? "", "-", "-", report.Message ?? "");
                continue;
            }

            foreach (WriterComponent component in metadata.Components)
            {
                table.Add(report.Identity.ToString(), metadata.Version, component.Name, component.Files is [var first, ..] ? first.Folder : "-", metadata.CannotHold ?? metadata.Method);
            }
        }

        table.WriteTo(host.Output);
    }
}
