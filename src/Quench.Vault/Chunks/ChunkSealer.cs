namespace Quench.Vault;

/// <summary>Compresses, encrypts and authenticates chunks. One lane's: not thread-safe.</summary>
public sealed class ChunkSealer : IDisposable
{
    /// <summary>Seals a chunk.</summary>
    /// <param name="id">Its id, from <see cref="BackupSession.Identify"/>.</param>
    /// <param name="plaintext">Its bytes; borrowed during the call.</param>
    /// <returns>The sealed chunk, the caller's: give it to <see cref="BackupSession.AddAsync"/> or dispose it.</returns>
    public SealedChunk Seal(ChunkId id, ReadOnlySpan<byte> plaintext) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}
