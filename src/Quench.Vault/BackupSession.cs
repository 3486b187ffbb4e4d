using Quench.Blocks;

namespace Quench.Vault;

/// <summary>
/// Adds one recovery point to a vault. For each chunk: <see cref="Identify"/>; if <see cref="TryClaim"/> says so, seal it and <see cref="AddAsync"/>;
/// then <see cref="ImageWriter.Set"/>. At the end <see cref="ImageWriter.FinishAsync"/> for each image, then <see cref="CommitAsync"/>.
/// </summary>
/// <remarks>
/// Nothing that a session does can be seen in the vault before the commit, and nothing can be lost by abandoning it. The first failure of a put is
/// kept and thrown by every later call that stores something. Dispose it before the vault.
/// </remarks>
public sealed class BackupSession : IAsyncDisposable
{
    /// <summary>The session's id.</summary>
    public Guid Id => throw new NotImplementedException();

    /// <summary>What it has done so far. May be asked at any time.</summary>
    public SessionTotals Totals => throw new NotImplementedException();

    /// <summary>The id of a data chunk. Thread-safe; allocates nothing.</summary>
    /// <param name="plaintext">Its bytes: a whole chunk, or the shorter last one of a volume. Not empty.</param>
    public ChunkId Identify(ReadOnlySpan<byte> plaintext) => throw new NotImplementedException();

    /// <summary>Asks whether a chunk must be stored. Thread-safe.</summary>
    /// <returns>True: this caller must seal and add it. False: the vault has it, or somebody in this session has claimed it; also for the hole.</returns>
    public bool TryClaim(ChunkId id) => throw new NotImplementedException();

    /// <summary>A sealer for one lane: not thread-safe, disposed by the caller before the session.</summary>
    public ChunkSealer NewSealer() => throw new NotImplementedException();

    /// <summary>Takes a sealed chunk for storing. Thread-safe. Waits while too much is on its way to the store.</summary>
    /// <param name="chunk">The chunk; the session's from now on, also when this fails.</param>
    /// <param name="cancellationToken">Gives up waiting; the session can then only be disposed.</param>
    public ValueTask AddAsync(SealedChunk chunk, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Begins the map of a volume's image.</summary>
    /// <param name="length">Bytes of the volume.</param>
    /// <param name="chunksToCome">A bit for each chunk of the volume, set where <see cref="ImageWriter.Set"/> will be called; the rest are holes. Not changed meanwhile.</param>
    public ImageWriter NewImage(long length, BlockBitmap chunksToCome) => throw new NotImplementedException();

    /// <summary>
    /// Makes the recovery point: packs, then index, then manifest, then commit key, each durable before the next. When it completes the point
    /// survives anything; when it fails there is no such point, unless the failure says that this is not known.
    /// </summary>
    /// <param name="draft">The point, with the roots of its images.</param>
    /// <param name="cancellationToken">Gives up; then there is no point, or there is.</param>
    public Task<RecoveryPoint> CommitAsync(PointDraft draft, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => throw new NotImplementedException();
}
