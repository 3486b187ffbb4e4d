using Quench.Blocks;

namespace Quench.Cli;

/// <summary>What can't be undone is done only when somebody said so: on the command line, or here and now.</summary>
internal static class Consent
{
    /// <summary>Asks, unless the answer was given on the command line.</summary>
    /// <param name="host">Whose terminal.</param>
    /// <param name="yes">Whether --yes was given.</param>
    /// <param name="question">What is going to happen, as a sentence.</param>
    /// <param name="act">The same as a verb: "remove key 1234".</param>
    /// <exception cref="QuenchException">CLI-114: nobody is here to be asked. CLI-115: the answer was not yes.</exception>
    public static void Demand(CliHost host, bool yes, string question, string act)
    {
        if (yes)
        {
            return;
        }

        if (host.Terminal is not { } terminal)
        {
            throw new QuenchException("CLI-114", $"this would {act}, and nobody is here to be asked", "say --yes if that is what you want")
            {
                Effect = "nothing was done",
                ExitCode = ExitCodes.Usage,
            };
        }

        if (!terminal.Confirm(question))
        {
            throw new QuenchException("CLI-115", "not confirmed, so nothing was done");
        }
    }
}
