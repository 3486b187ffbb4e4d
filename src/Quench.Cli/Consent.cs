using Quench.Blocks;

namespace Quench.Cli;

/// <summary>What can't be undone is done only when somebody said so: on the command line, or here and now.</summary>
internal static class Consent
{
    /// <summary>Asks, unless the answer was given on the command line.</summary>
    /// <param name="host">Whose terminal.</param>
    /// <param name="yes">Whether --yes was given.</param>
    /// <param name="question">What is going to happen, as a sentence: "Everything on /dev/sdb will be lost."</param>
    /// <param name="act">The same as a verb: "overwrite /dev/sdb".</param>
    /// <exception cref="QuenchException">CLI-108: nobody is here to be asked. CLI-109: the answer was not yes.</exception>
    public static void Demand(CliHost host, bool yes, string question, string act)
    {
        if (yes)
        {
            return;
        }

        if (host.Terminal is not { } terminal)
        {
            throw new QuenchException("CLI-108", $"this would {act}, and nobody is here to be asked", "say --yes if that is what you want")
            {
                Effect = "nothing was done",
                ExitCode = ExitCodes.Usage,
            };
        }

        if (!terminal.Confirm(question))
        {
            throw new QuenchException("CLI-109", "not confirmed, so nothing was done");
        }
    }
}
