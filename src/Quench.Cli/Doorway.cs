using System.CommandLine;
using Quench.Blocks;
using Quench.Cli.Output;

namespace Quench.Cli;

/// <summary>What every command goes through: its failures are told in one form, and become exit codes.</summary>
internal static class Doorway
{
    /// <summary>Sets what a command does.</summary>
    public static void Run(this Command command, CliHost host, Func<ParseResult, CancellationToken, Task<int>> body) =>
        command.SetAction((parsed, cancellationToken) => GuardAsync(host, parsed, body, cancellationToken));

    private static async Task<int> GuardAsync(
        CliHost host, ParseResult parsed, Func<ParseResult, CancellationToken, Task<int>> body, CancellationToken cancellationToken)
    {
        try
        {
            return await body(parsed, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Tell(host, parsed, new QuenchException("CLI-130", "interrupted")
            {
                Effect = "what was not complete was given up; the vault is valid and the volume is unaffected",
                ExitCode = ExitCodes.Interrupted,
            });
        }
        catch (QuenchException failure)
        {
            return Tell(host, parsed, failure);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return Tell(host, parsed, new QuenchException("CLI-901", failure.Message, "see the kernel's log (dmesg) if the medium is at fault", failure));
        }
#pragma warning disable CA1031 // the last door: what comes this far is a mistake of ours, and is told as one
        catch (Exception failure)
#pragma warning restore CA1031
        {
            return Tell(host, parsed, new QuenchException(
                "CLI-900", $"a mistake in Quench: {failure.GetType().Name}: {failure.Message}", "report it, with the output of the same command under QUENCH_TRACE=1", failure));
        }
    }

    private static int Tell(CliHost host, ParseResult parsed, QuenchException failure)
    {
        host.Error.Write(ErrorText.Render(failure));
        if (host.Variable("QUENCH_TRACE") == "1")
        {
            host.Error.WriteLine(failure);
        }

        if (CommonOptions.WantsJson(parsed))
        {
            JsonLine.WriteError(host.Output, failure);
        }

        return failure.ExitCode;
    }
}
