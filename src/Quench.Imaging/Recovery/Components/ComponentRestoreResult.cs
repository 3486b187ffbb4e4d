using Quench.Snapshots.Coordination;

namespace Quench.Imaging.Recovery.Components;

/// <summary>What a restore of components did.</summary>
/// <param name="FileCount">Files that were put back.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Kept">Where what was there is kept, by the folder that it was in; empty when nothing was there, or it was discarded.</param>
/// <param name="NotTold">Writers that could not do what was to do afterwards, and why.</param>
/// <param name="PutRight">What earlier runs that were killed had left, and was put right.</param>
public sealed record ComponentRestoreResult(
    long FileCount,
    long Bytes,
    IReadOnlyList<(string Folder, string Kept)> Kept,
    IReadOnlyList<(WriterIdentity Writer, string Why)> NotTold,
    IReadOnlyList<string> PutRight);
