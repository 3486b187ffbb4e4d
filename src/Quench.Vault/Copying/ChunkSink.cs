using System.Collections.Concurrent;
using Quench.Vault.Format;

namespace Quench.Vault.Copying;

/// <summary>Stores chunks and pages under the names that the target gives them, those that it lacks. Thread-safe.</summary>
internal sealed class ChunkSink(BackupSession session, long bytesBetweenSettlements) : IDisposable
{
    private readonly ConcurrentBag<ChunkSealer> _sealers = [];
    private long _settledAt;

    /// <summary>Stores a data chunk if it must be stored.</summary>
    /// <returns>Its id in the target.</returns>
    internal async ValueTask<ChunkId> AddDataAsync(ReadOnlyMemory<byte> plaintext, CancellationToken cancellationToken)
    {
        ChunkName name = session.Name(plaintext.Span);
        if (session.TryClaim(name.Id))
        {
            await session.AddAsync(Seal(sealer => sealer.Seal(name, plaintext.Span)), cancellationToken);
        }

        return name.Id;
    }

    /// <summary>Stores a page of a map if it must be stored.</summary>
    /// <returns>Its id in the target.</returns>
    internal async ValueTask<ChunkId> AddPageAsync(int level, ReadOnlyMemory<byte> page, CancellationToken cancellationToken)
    {
        ChunkId id = session.IdentifyPage(level, page.Span);
        if (session.TryClaim(id))
        {
            await session.AddAsync(Seal(sealer => sealer.Seal(ChunkMeta.PageTypeOf(level), id, null, page.Span)), cancellationToken);
        }

        return id;
    }

    /// <summary>
    /// Now and then makes durable and indexes what has been stored, so that a copy which is interrupted finds it when it begins again. One caller
    /// at a time.
    /// </summary>
    internal async Task SettleNowAndThenAsync(CancellationToken cancellationToken)
    {
        long stored = session.Totals.NewChunkBytes;
        if (stored - _settledAt >= bytesBetweenSettlements)
        {
            _settledAt = stored;
            await session.SettleAsync(cancellationToken);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_sealers.TryTake(out ChunkSealer? sealer))
        {
            sealer.Dispose();
        }
    }

    private SealedChunk Seal(Func<ChunkSealer, SealedChunk> seal)
    {
        ChunkSealer sealer = _sealers.TryTake(out ChunkSealer? idle) ? idle : session.NewSealer();
        try
        {
            return seal(sealer);
        }
        finally
        {
            _sealers.Add(sealer);
        }
    }
}
