using System.CommandLine;
using System.Globalization;
using Quench.Blocks;
using Quench.Cli.Output;
using Quench.Snapshots.Coordination;

namespace Quench.Cli.Commands.Writers;

/// <summary>quench writers test: the whole protocol with nothing taken in between, and then an abort. It holds production for a moment.</summary>
internal sealed class WritersTestCommand(CliHost host)
{
    private readonly Argument<string> _writer = new("WRITER") { Description = "A writer's name, or writer/component, as `quench writers list` shows it." };
    private readonly Argument<string[]> _mountPoints = new("MOUNT-POINT") { Description = "Only applications with data on these file systems; all of the machine's when not given.", Arity = ArgumentArity.ZeroOrMore };
    private readonly WriterOptions _options = new();
    private readonly Option<bool> _json = CommonOptions.Json();
    private readonly Option<bool> _yes = new("--yes") { Description = "Don't ask." };

    public Command Make()
    {
        Command command = new("test", HelpText.Of("writers-test")) { _writer, _mountPoints, _json, _yes };
        _options.AddSearchTo(command);
        command.Run(host, RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        Privilege.Demand(host, "hold applications");
        string wanted = parsed.GetValue(_writer)!;
        await using WriterCoordination writers = _options.For(parsed, WritersCommand.Volumes(parsed.GetValue(_mountPoints)), [wanted], host.Clock);
        IReadOnlyList<WriterReport> found = await writers.IdentifyAsync(cancellationToken);
        string name = wanted.Split('/')[0];
        if (!found.Any(report => string.Equals(report.Identity.Name, name, StringComparison.OrdinalIgnoreCase)))
        {
            throw new QuenchException("SNAP-129", $"there is no writer called {name} with data on these file systems", "see `quench writers list`") { ExitCode = ExitCodes.Usage };
        }

        Consent.Demand(host, parsed.GetValue(_yes), $"{name} will hold its writes for a moment.", $"hold the writes of {name}");
        await writers.HoldAsync(cancellationToken);
        await writers.LetGoAsync(taken: true);
        WriterReport[] reports = [.. (await writers.SettleAsync(cancellationToken)).Where(report => string.Equals(report.Identity.Name, name, StringComparison.OrdinalIgnoreCase))];
        if (parsed.GetValue(_json))
        {
            WritersCommand.WriteJson(host.Output, reports);
        }
        else
        {
            Array.ForEach(reports, Write);
        }

        return Array.TrueForAll(reports, report => report.IsConsistent) ? ExitCodes.Done : ExitCodes.Failed;
    }

    private void Write(WriterReport report)
    {
        string held = report.HeldFor is { } time ? string.Create(CultureInfo.InvariantCulture, $", held for {time.TotalMilliseconds:0.0} ms") : "";
        host.Output.WriteLine($"{report.Identity}: {(report.IsConsistent ? "it held" : "it did NOT hold")}{held}");
        TextTable table = new("STEP", "TOOK", "RESULT");
        foreach (WriterStep step in report.Steps)
        {
            table.Add(
                WriterText.NameOf(step.Event), string.Create(CultureInfo.InvariantCulture, $"{step.Took.TotalMilliseconds:0.0} ms"),
                step.Error == WriterError.None ? "done" : $"{WriterText.NameOf(step.Error)}: {step.Message}");
        }

        table.WriteTo(host.Output);
    }
}
