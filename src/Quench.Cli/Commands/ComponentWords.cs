namespace Quench.Cli.Commands;

/// <summary>Names of components on the command line: given several times, or as a list with commas.</summary>
internal static class ComponentWords
{
    /// <summary>Each of them.</summary>
    public static IReadOnlyList<string> Split(IEnumerable<string>? given) =>
        [.. (given ?? []).SelectMany(word => word.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Distinct()];
}
