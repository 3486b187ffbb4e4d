namespace Quench.Cli;

/// <summary>Where the indexes of large vaults are kept between commands. All of it can be deleted at any time.</summary>
internal static class CacheFolder
{
    /// <summary>
    /// The folder of one vault: below QUENCH_CACHE_DIR; else below /var/cache/quench for root, and for others below XDG_CACHE_HOME or ~/.cache
    /// (XDG Base Directory Specification).
    /// </summary>
    /// <returns>Null when this user has no such place.</returns>
    public static string? Of(CliHost host, Guid vault)
    {
        string? root = Absolute(host.Variable("QUENCH_CACHE_DIR"))
            ?? (host.IsRoot ? "/var/cache/quench"
                : Below(Absolute(host.Variable("XDG_CACHE_HOME")), "quench") ?? Below(Absolute(host.Variable("HOME")), ".cache/quench"));
        return root is null ? null : Path.Combine(root, vault.ToString("N"));
    }

    private static string? Below(string? folder, string name) => folder is null ? null : Path.Combine(folder, name);

    /// <summary>A relative path means nothing here: commands run in any directory.</summary>
    private static string? Absolute(string? path) => Path.IsPathRooted(path) ? path : null;
}
