using System.CommandLine;

namespace Quench.Cli.Commands.Serve;

/// <summary>quench serve: gives block devices to other programs over NBD.</summary>
internal static class ServeCommand
{
    public static Command Make(CliHost host) => new("serve", HelpText.Of("serve"))
    {
        ServePointCommand.Make(host),
        ServeVolumeCommand.Make(host),
        ServeSnapshotCommand.Make(host),
    };
}
