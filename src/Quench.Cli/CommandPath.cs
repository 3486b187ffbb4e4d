using System.CommandLine;
using System.CommandLine.Parsing;

namespace Quench.Cli;

/// <summary>A command as a user types it, from the program's name on: "quench vault key add".</summary>
internal static class CommandPath
{
    /// <summary>The command that a line names, as far as it was understood.</summary>
    public static string Of(ParseResult parsed)
    {
        string path = "";
        for (CommandResult? at = parsed.CommandResult; at?.Command is not (null or RootCommand); at = at.Parent as CommandResult)
        {
            path = $" {at.Command.Name}{path}";
        }

        return "quench" + path;
    }
}
