using System.CommandLine;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Cli.Commands;

/// <summary>quench attach: puts the filter between a device and its users.</summary>
internal static class AttachCommand
{
    public static Command Make(CliHost host)
    {
        Argument<string> origin = new("DEVICE-OR-FILE") { Description = "The device or image file whose volume is to be used through Quench." };
        Option<string> name = new("--name") { HelpName = "NAME", Description = "What the volume is called from now on.", Required = true };
        Command command = new("attach", HelpText.Of("attach")) { origin, name };
        command.Run(host, async (parsed, cancellationToken) =>
        {
            Privilege.Demand(host, "attach a volume");
            AttachedVolume volume = await FilterAttachment.AttachAsync(
                parsed.GetValue(origin)!, parsed.GetValue(name)!, new AttachOptions(), cancellationToken);
            host.Error.WriteLine($"attached {volume.Origin} as {volume.Name}; use this device instead of it:");
            host.Output.WriteLine(volume.Device);
            return ExitCodes.Done;
        });
        return command;
    }
}
