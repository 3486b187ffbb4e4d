namespace Quench.Vault;

/// <summary>What rebuilding an index has found and done.</summary>
/// <param name="Packs">Packs whose directories were read.</param>
/// <param name="NamedPacks">Of those, packs that no sound index object named; one does now.</param>
/// <param name="NamedChunks">The chunks in them.</param>
/// <param name="Written">Index objects that were written.</param>
/// <param name="Deleted">Damaged index objects that were deleted, because everything they could name is named now.</param>
/// <param name="Kept">Damaged index objects that were kept, because packs that they may name can't be read.</param>
/// <param name="UnreadablePacks">Packs whose directories can't be read. Those that a sound index object names can still be used.</param>
/// <param name="CacheDropped">Whether no local cache is left; false when another process was renewing it.</param>
public sealed record IndexRebuildReport(
    int Packs,
    int NamedPacks,
    long NamedChunks,
    IReadOnlyList<string> Written,
    IReadOnlyList<string> Deleted,
    IReadOnlyList<string> Kept,
    IReadOnlyList<string> UnreadablePacks,
    bool CacheDropped);
