using System.Text;
using Quench.Blocks;

namespace Quench.Cli.Output;

/// <summary>
/// The one form in which a failure is shown to a person: what happened to what, what it means, what to do, and the code to look it up by.
/// </summary>
internal static class ErrorText
{
    /// <summary>Renders a failure; every line ends with a line feed.</summary>
    public static string Render(QuenchException failure)
    {
        StringBuilder text = new();
        text.Append(failure.Message).Append('\n');
        if (failure.Effect is { } effect)
        {
            text.Append("  ").Append(effect).Append('\n');
        }

        if (failure.Next is { } next)
        {
            text.Append("  next: ").Append(next).Append('\n');
        }

        return text.Append("  code: ").Append(failure.Code).Append("   docs: docs/errors.md\n").ToString();
    }
}
