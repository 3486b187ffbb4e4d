using System.CommandLine;

namespace Quench.Cli.Commands;

/// <summary>quench vault: what concerns a vault as a whole.</summary>
internal static class VaultCommand
{
    public static Command Make(CliHost host) =>
        new("vault", HelpText.Of("vault"))
        {
            KeyCommand.Make(host),
            PruneCommand.Make(host),
            CopyCommand.Make(host),
            RepairCommand.Make(host),
            RebuildIndexCommand.Make(host),
        };
}
