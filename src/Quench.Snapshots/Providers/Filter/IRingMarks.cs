namespace Quench.Snapshots.Providers.Filter;

/// <summary>Keeps, in memory that outlives the process, which cell of a <see cref="SpillRing"/> holds what is not in the file yet.</summary>
internal interface IRingMarks
{
    /// <summary>A cell holds the newest content of a slot.</summary>
    /// <param name="cell">The cell.</param>
    /// <param name="slot">The slot.</param>
    /// <param name="position">Its position in the ring: the newer, the larger.</param>
    void Set(int cell, long slot, long position);

    /// <summary>A cell holds nothing that anybody needs.</summary>
    void Clear(int cell);
}
