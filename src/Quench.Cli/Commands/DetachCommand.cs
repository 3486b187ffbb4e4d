using System.CommandLine;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>quench detach: takes the filter out again.</summary>
internal static class DetachCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> name = new("NAME") { Description = "The volume's name, as `quench volumes` shows it." };
        Command command = new("detach", HelpText.Of("detach")) { name };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            Privilege.Demand(host, "detach a volume");
            await FilterAttachment.DetachAsync(parsed.GetValue(name)!, cancellationToken);
            host.Error.WriteLine($"detached {parsed.GetValue(name)}");
            return ExitCodes.Done;
        });
        return command;
    }
}
