using Quench.Blocks;

namespace Quench.Cli;

/// <summary>What only root may do is refused before anything is touched.</summary>
internal static class Privilege
{
    /// <summary>Refuses everybody but root.</summary>
    /// <param name="host">Who runs this.</param>
    /// <param name="act">What is about to be done: "attach a volume".</param>
    /// <exception cref="QuenchException">CLI-105.</exception>
    public static void Demand(CliHost host, string act)
    {
        if (!host.IsRoot)
        {
            throw new QuenchException("CLI-105", $"only root may {act}", "run the same command with sudo") { Effect = "nothing was touched" };
        }
    }
}
