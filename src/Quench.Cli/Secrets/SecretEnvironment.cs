namespace Quench.Cli.Secrets;

/// <summary>
/// This process's environment, from which the variables that hold a secret themselves are taken out, so that no program it starts inherits them: neither a
/// password command, nor a volume's worker. What the kernel shows of this very process can't be changed any more.
/// </summary>
internal sealed class SecretEnvironment
{
    private readonly Dictionary<string, string?> _secrets = new(StringComparer.Ordinal);

    public SecretEnvironment()
    {
        foreach (string name in new[] { PasswordSource.Variable, PasswordSource.NewVariable, PasswordSource.TargetVariable })
        {
            _secrets[name] = Environment.GetEnvironmentVariable(name);
            Environment.SetEnvironmentVariable(name, null);
        }
    }

    /// <summary>Reads a variable; null when it is not set.</summary>
    public string? Get(string name) => _secrets.TryGetValue(name, out string? value) ? value : Environment.GetEnvironmentVariable(name);
}
