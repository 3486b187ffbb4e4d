using System.CommandLine;

namespace Quench.Cli.Commands.Vault;

/// <summary>quench vault: looks after a vault.</summary>
internal static class VaultCommand
{
    public static Command Make(CliHost host) => new("vault", HelpText.Of("vault"))
    {
        RebuildIndexCommand.Make(host),
    };
}
