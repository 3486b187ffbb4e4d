namespace Quench.Cli.Secrets;

/// <summary>A person at a terminal.</summary>
internal interface ITerminal
{
    /// <summary>Asks for something secret: what is typed is not shown.</summary>
    /// <returns>What was typed; the caller disposes it.</returns>
    Secret ReadSecret(string prompt);

    /// <summary>Asks a question that only "yes" answers with yes.</summary>
    bool Confirm(string question);
}
