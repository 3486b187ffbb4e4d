using System.CommandLine;

namespace Quench.Cli.Commands.Vault;

/// <summary>quench vault: upkeep of a vault as a whole.</summary>
internal static class VaultCommand
{
    public static Command Make(CliHost host) => new("vault", HelpText.Of("vault"))
    {
        PruneCommand.Make(host),
    };
}
