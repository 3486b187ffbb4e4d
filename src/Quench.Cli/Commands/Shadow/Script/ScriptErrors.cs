using System.Globalization;
using Quench.Blocks;

namespace Quench.Cli.Commands.Shadow.Script;

/// <summary>What is wrong with a script.</summary>
internal static class ScriptErrors
{
    /// <summary>CLI-160, exit code 2: a line that can't be done, found before the first line is.</summary>
    public static QuenchException Refuse(int line, string why, string? next = null) =>
        new("CLI-160", string.Create(CultureInfo.InvariantCulture, $"line {line} of the script: {why}"), next ?? "see `quench shadow script --help` for what a script can say")
        {
            Effect = "nothing was done",
            ExitCode = ExitCodes.Usage,
        };

    /// <summary>CLI-161: a line failed when it was its turn.</summary>
    public static QuenchException Failed(int line, string why, string? next = null) =>
        new("CLI-161", string.Create(CultureInfo.InvariantCulture, $"line {line} of the script: {why}"), next)
        {
            Effect = "the script ended there; volatile shadow copies were deleted, persistent ones that it had taken stay; the volumes are unaffected",
        };
}
