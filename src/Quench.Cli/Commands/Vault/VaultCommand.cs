using System.CommandLine;

namespace Quench.Cli.Commands;

/// <summary>quench vault: what is done to a vault as a whole.</summary>
internal static class VaultCommand
{
    public static Command Make(CliHost host) => new("vault", HelpText.Of("vault"))
    {
        CopyCommand.Make(host),
    };
}
