using System.Buffers;
using Quench.Blocks;

namespace Quench.Vault.Copying;

/// <summary>
/// Copies a volume between vaults whose chunks differ in size: its image is read and cut anew. All of it is read for each point, each of the source's
/// chunks once.
/// </summary>
internal sealed class GridCopy(IBlockReader image, BackupSession session, ChunkSink sink, VolumeRecord volume, int sourceChunk, int targetChunk)
{
    private const long Window = 64L << 20;

    private readonly int _piece = Math.Max(sourceChunk, targetChunk); // both are powers of two: a piece is whole chunks of either
    private long _readBytes;

    /// <summary>Told up to which byte of the volume all is done.</summary>
    internal required Action<long> Reached { get; init; }

    /// <summary>Plaintext bytes read from the source.</summary>
    internal long ReadBytes => Interlocked.Read(ref _readBytes);

    /// <summary>Copies the volume.</summary>
    /// <returns>The root in the target.</returns>
    internal async Task<ChunkId> RunAsync(CancellationToken cancellationToken)
    {
        BlockBitmap pieces = await FindPiecesAsync(cancellationToken);
        ImageWriter writer = session.NewImage(volume.Length, ChunksOf(pieces));
        ParallelOptions lanes = new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        long perWindow = Math.Max(1, Window / _piece);
        for (long first = 0; first < pieces.Length; first += perWindow)
        {
            long end = Math.Min(pieces.Length, first + perWindow);
            await Parallel.ForEachAsync(SetIn(pieces, first, end), lanes, (piece, token) => CopyPieceAsync(piece, writer, token));
            await sink.SettleNowAndThenAsync(cancellationToken);
            Reached(Math.Min(volume.Length, end * _piece));
        }

        return await writer.FinishAsync(cancellationToken);
    }

    private static IEnumerable<long> SetIn(BlockBitmap bits, long first, long end)
    {
        for (long at = bits.NextSet(first, end); at >= 0 && at < end; at = bits.NextSet(at + 1, end))
        {
            yield return at;
        }
    }

    /// <summary>The pieces that hold anything.</summary>
    private async Task<BlockBitmap> FindPiecesAsync(CancellationToken cancellationToken)
    {
        BlockBitmap pieces = new((volume.Length / _piece) + (volume.Length % _piece == 0 ? 0 : 1));
        for (long at = 0; at < volume.Length; at += Window)
        {
            Extent window = Extent.FromTo(at, Math.Min(volume.Length, at + Window));
            foreach (MappedExtent mapped in await image.MapAsync(window, cancellationToken))
            {
                if (mapped.Kind == ExtentKind.Data)
                {
                    long first = mapped.Extent.Offset / _piece;
                    pieces.SetRange(first, ((mapped.Extent.End - 1) / _piece) - first + 1);
                }
            }
        }

        return pieces;
    }

    private BlockBitmap ChunksOf(BlockBitmap pieces)
    {
        BlockBitmap chunks = new((volume.Length / targetChunk) + (volume.Length % targetChunk == 0 ? 0 : 1));
        int perPiece = _piece / targetChunk;
        foreach ((long first, long count) in pieces.SetRuns())
        {
            chunks.SetRange(first * perPiece, Math.Min(count * perPiece, chunks.Length - (first * perPiece)));
        }

        return chunks;
    }

    private async ValueTask CopyPieceAsync(long piece, ImageWriter writer, CancellationToken cancellationToken)
    {
        long offset = piece * _piece;
        int length = (int)Math.Min(_piece, volume.Length - offset);
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await image.ReadAsync(offset, rented.AsMemory(0, length), cancellationToken);
            Interlocked.Add(ref _readBytes, length);
            for (int at = 0; at < length; at += targetChunk)
            {
                ReadOnlyMemory<byte> chunk = rented.AsMemory(at, Math.Min(targetChunk, length - at));
                ChunkId id = chunk.Span.ContainsAnyExcept((byte)0) ? await sink.AddDataAsync(chunk, cancellationToken) : ChunkId.Hole;
                writer.Set((offset + at) / targetChunk, id);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }
}
