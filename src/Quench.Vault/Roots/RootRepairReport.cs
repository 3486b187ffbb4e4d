namespace Quench.Vault.Roots;

/// <summary>What a repair of the roots has done, and what it could not do. Each line is the name of a root.</summary>
/// <param name="Restored">Were damaged or missing and have been put back from their copies.</param>
/// <param name="Copied">Have a copy now that had none, or a damaged one.</param>
/// <param name="Removed">Key slots whose removal had been begun, and is finished now; and what is left of points that are forgotten, which is not put back.</param>
/// <param name="Lost">Neither checks out: left as they are.</param>
/// <param name="Differing">Both check out and are not the same: left as they are.</param>
internal sealed record RootRepairReport(
    IReadOnlyList<string> Restored, IReadOnlyList<string> Copied, IReadOnlyList<string> Removed, IReadOnlyList<string> Lost, IReadOnlyList<string> Differing)
{
    /// <summary>Whether every root that is there is sound now, and kept twice.</summary>
    internal bool IsWhole => Lost.Count == 0 && Differing.Count == 0;
}
