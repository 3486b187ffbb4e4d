namespace Quench.Vault.Index;

/// <summary>What an index may hold in memory before it writes runs.</summary>
/// <param name="InMemory">Chunks of a vault that is kept in memory as a whole: 59 bytes each.</param>
/// <param name="Tail">Chunks in memory beside runs.</param>
/// <param name="Remainder">Chunks that a refresh leaves in memory: the next opening reads their index objects again.</param>
/// <param name="Runs">Runs before some of them are merged.</param>
internal sealed record IndexLimits(int InMemory, int Tail, int Remainder, int Runs)
{
    /// <summary>A vault of 64 GiB of unique chunks stays in memory; a larger one takes 15 MiB, 12 bits for each id, and 8 bytes for each 78 ids.</summary>
    internal static IndexLimits Default { get; } = new(1 << 20, 1 << 18, 1 << 14, 12);
}
