using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Commands.Shadow.Script;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Store;

namespace Quench.Cli.Commands.Shadow;

/// <summary>quench shadow script: a script in the dialect of diskshadow.</summary>
internal sealed class ShadowScriptCommand
{
    private readonly CliHost _host;
    private readonly Argument<string> _file = new("FILE") { Description = "The script; - for standard input." };
    private readonly Option<bool> _yes = new("--yes", "-y") { Description = "Let the script delete shadow copies without asking." };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Understand the script, and do nothing." };
    private readonly Option<double> _execLimit = new("--exec-limit")
    {
        HelpName = "SECONDS",
        Description = "How long a program that the script runs may take: 0.1 to 86400.",
        DefaultValueFactory = _ => 3600,
    };

    private readonly Option<string?> _store = new("--store") { HelpName = "FOLDER", Description = "Where overwritten blocks are kept, on another disk than the volumes'. Only with a volume's first snapshot." };
    private readonly WriterOptions _writers = new();

    private ShadowScriptCommand(CliHost host)
    {
        _host = host;
        _execLimit.Validators.Add(given =>
        {
            if (given.GetValue(_execLimit) is not (>= 0.1 and <= 86400))
            {
                given.AddError("--exec-limit is a number of seconds from 0.1 to 86400");
            }
        });
    }

    public static Command Make(CliHost host)
    {
        ShadowScriptCommand script = new(host);
        Command command = new("script", HelpText.Of("shadow-script")) { script._file, script._yes, script._dryRun, script._execLimit, script._store };
        script._writers.AddSearchTo(command);
        command.Run(host, script.RunAsync);
        return command;
    }

    private async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        IReadOnlyList<ScriptStep> steps = ScriptParser.Parse(await ReadAsync(parsed.GetValue(_file)!, cancellationToken));
        foreach (Execute execute in steps.OfType<Execute>().Where(execute => !execute.Program.Contains('%', StringComparison.Ordinal)))
        {
            TrustedPath.DemandProgram(execute.Program); // refused now, not when copies have been taken
        }

        if (parsed.GetValue(_dryRun))
        {
            _host.Error.WriteLine($"the script is understood: {steps.Count} lines that do something");
            return ExitCodes.Done;
        }

        Privilege.Demand(_host, "take snapshots of attached volumes");
        if (steps.OfType<DeleteCopies>().ToArray() is { Length: > 0 } deletes)
        {
            string plan = string.Join('\n', deletes.Select(delete => $"Line {delete.Line} deletes shadow copies: {delete.Kind} {delete.What}".TrimEnd()));
            Consent.Demand(_host, parsed.GetValue(_yes), plan, "delete shadow copies");
        }

        KeepOptions keep = new() { Label = "script", StoreFolder = parsed.GetValue(_store) };
        await using ScriptSession session = new(
            _host, (volumes, excluded) => _writers.Except(parsed, volumes, excluded, _host.Clock), keep, TimeSpan.FromSeconds(parsed.GetValue(_execLimit)));
        foreach (ScriptStep step in steps.TakeWhile(step => step is not ExitScript))
        {
            cancellationToken.ThrowIfCancellationRequested();
            await session.DoAsync(step, cancellationToken);
        }

        return ExitCodes.Done;
    }

    private async Task<string> ReadAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            return file == "-" ? await _host.Input.ReadToEndAsync(cancellationToken) : await File.ReadAllTextAsync(file, cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new QuenchException("CLI-162", $"the script {file} can't be read: {failure.Message}", "name a file that is there, or - for standard input", failure)
            {
                Effect = "nothing was done",
                ExitCode = ExitCodes.Usage,
            };
        }
    }
}
