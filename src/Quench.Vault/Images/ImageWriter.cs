namespace Quench.Vault;

/// <summary>
/// Writes the map of a volume's image: a tree of pages, 256 ids each, that are chunks themselves. A page is stored as soon as all
/// its ids are known, so memory stays bounded when chunks come in an order that is near the volume's.
/// </summary>
public sealed class ImageWriter
{
    /// <summary>Says which chunk lies at a place of the volume. Thread-safe; exactly once for each expected chunk.</summary>
    /// <param name="chunkIndex">The place: offset divided by the vault's chunk size.</param>
    /// <param name="id">The chunk's id; the hole when all of it is zeros.</param>
    public void Set(long chunkIndex, ChunkId id) => throw new NotImplementedException();

    /// <summary>Stores what is left of the map.</summary>
    /// <returns>The root, for <see cref="VolumeRecord.Root"/>.</returns>
    /// <exception cref="InvalidOperationException">Not every expected chunk has been set.</exception>
    public Task<ChunkId> FinishAsync(CancellationToken cancellationToken) => throw new NotImplementedException();
}
