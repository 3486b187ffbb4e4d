using System.CommandLine;
using System.Globalization;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>quench volumes upgrade: a new worker for a volume, while it is used.</summary>
internal static class VolumesUpgradeCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> name = new("NAME") { Description = "The volume's name, as `quench volumes` shows it." };
        Command command = new("upgrade", HelpText.Of("volumes-upgrade")) { name };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            Privilege.Demand(host, "replace a volume's worker");
            VolumeSupervision now = await FilterAttachment.UpgradeAsync(parsed.GetValue(name)!, cancellationToken);
            host.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"volume {parsed.GetValue(name)} is served by a new worker (process {now.WorkerId})"));
            return ExitCodes.Done;
        });
        return command;
    }
}
