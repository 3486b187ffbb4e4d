using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Quench.Cli.Commands;
using Quench.Cli.Commands.Activity;
using Quench.Cli.Commands.Serve;
using Quench.Cli.Commands.Shadow;
using Quench.Cli.Commands.Snapshots;

namespace Quench.Cli;

/// <summary>The command line: which commands there are, and how a line of words is run.</summary>
internal static class CommandLine
{
    private const int BlockingLanes = 32;

    /// <summary>Runs the line that this process was started with, and listens to its signals.</summary>
    public static async Task<int> RunProcessAsync(string[] args)
    {
        // Disks are read and written by blocking calls on the pool; it must not grow one thread a second to have enough of them.
        ThreadPool.GetMinThreads(out int workers, out int ports);
        ThreadPool.SetMinThreads(Math.Max(workers, BlockingLanes), ports);
        using Interruption interruption = new();
        return await RunAsync(args, CliHost.ForThisProcess(), interruption.Token);
    }

    /// <summary>Runs a line.</summary>
    /// <param name="args">The words after the program's name.</param>
    /// <param name="host">What it may see of the machine.</param>
    /// <param name="cancellationToken">Interrupts it: exit code 130.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string[] args, CliHost host, CancellationToken cancellationToken)
    {
        RootCommand root = Build(host);
        CommonOptions.AddKeyFile(root);
        ShortenOthers(root, args);
        ParseResult parsed = root.Parse(args);
        if (parsed.Action is ParseErrorAction)
        {
            return RefuseUsage(parsed, host);
        }

        InvocationConfiguration configuration = new()
        {
            Output = host.Output,
            Error = host.Error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        return await parsed.InvokeAsync(configuration, cancellationToken);
    }

    private static RootCommand Build(CliHost host) =>
        new(HelpText.Of("quench") + "\n\n" + ExitCodes.Table())
        {
            InitCommand.Make(host),
            AttachCommand.Make(host),
            DetachCommand.Make(host),
            VolumesCommand.Make(host),
            SnapshotCommand.Make(host),
            ShadowCommand.Make(host),
            BackupCommand.Make(host),
            ListCommand.Make(host),
            ShowCommand.Make(host),
            VerifyCommand.Make(host),
            RestoreCommand.Make(host),
            ForgetCommand.Make(host),
            ServeCommand.Make(host),
            InspectCommand.Make(host),
            ActivityCommand.Make(host),
            VaultCommand.Make(host),
            Commands.Writers.WritersCommand.Make(host),
            ProvidersCommand.Make(host),
        };

    /// <summary>In the list of commands the first sentence of each is enough; its own help has the rest.</summary>
    private static void ShortenOthers(Command parent, string[] args)
    {
        foreach (Command command in parent.Subcommands)
        {
            if (args.Contains(command.Name))
            {
                ShortenOthers(command, args);
                continue;
            }

            string text = command.Description ?? "";
            int end = text.IndexOfAny(['.', '\n']);
            command.Description = end < 0 ? text : text[..(end + 1)].TrimEnd();
        }
    }

    private static int RefuseUsage(ParseResult parsed, CliHost host)
    {
        foreach (ParseError error in parsed.Errors)
        {
            host.Error.WriteLine(error.Message);
        }

        host.Error.WriteLine($"  next: {CommandPath.Of(parsed)} --help");
        return ExitCodes.Usage;
    }
}
