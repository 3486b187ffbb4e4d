using System.Buffers;
using Quench.Blocks;
using Quench.Vault.Format;

namespace Quench.Vault;

/// <summary>The image of a volume as a disk to read. (docs/vault-format.md §9.2)</summary>
internal sealed class ImageReader : IBlockReader
{
    private readonly ChunkReader _chunks;
    private readonly MapPages _pages;
    private readonly VolumeRecord _volume;
    private readonly int _chunkSize;
    private readonly MapTree _tree;
    private readonly int _topLevel;

    internal ImageReader(ChunkReader chunks, VolumeRecord volume, int chunkSize)
    {
        _chunks = chunks;
        _pages = new MapPages(chunks);
        _volume = volume;
        _chunkSize = chunkSize;
        _tree = new MapTree((volume.Length / chunkSize) + (volume.Length % chunkSize == 0 ? 0 : 1));
        _topLevel = _tree.TopLevel;
    }

    /// <inheritdoc/>
    public BlockGeometry Geometry => new(_volume.Length, _volume.SectorSize);

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        CheckRange(offset, into.Length);
        while (!into.IsEmpty)
        {
            long chunk = offset / _chunkSize;
            int from = (int)(offset % _chunkSize);
            int count = Math.Min(into.Length, LengthOf(chunk) - from);
            (ChunkId id, _) = await FindAsync(chunk, cancellationToken);
            if (id.IsHole)
            {
                into.Span[..count].Clear();
            }
            else
            {
                await ReadChunkAsync(chunk, id, from, into[..count], cancellationToken);
            }

            into = into[count..];
            offset += count;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        CheckRange(range.Offset, range.Length);
        List<MappedExtent> map = [];
        long position = range.Offset;
        while (position < range.End)
        {
            long chunk = position / _chunkSize;
            (ChunkId id, long chunks) = await FindAsync(chunk, cancellationToken);
            long end = Math.Min(range.End, (chunk + chunks) * _chunkSize);
            Append(map, new MappedExtent(Extent.FromTo(position, end), id.IsHole ? ExtentKind.Zero : ExtentKind.Data));
            position = end;
        }

        return map;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static void Append(List<MappedExtent> map, MappedExtent next)
    {
        if (map.Count > 0 && map[^1].Kind == next.Kind)
        {
            map[^1] = next with { Extent = Extent.FromTo(map[^1].Extent.Offset, next.Extent.End) };
        }
        else
        {
            map.Add(next);
        }
    }

    private void CheckRange(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, _volume.Length - length);
    }

    private int LengthOf(long chunk) => (int)Math.Min(_chunkSize, _volume.Length - (chunk * _chunkSize));

    /// <summary>Finds what lies at a place of the volume.</summary>
    /// <returns>The chunk's id, and for how many chunks from there the answer holds: one, or all that a hole in an upper page still covers.</returns>
    private async ValueTask<(ChunkId Id, long Chunks)> FindAsync(long chunk, CancellationToken cancellationToken)
    {
        ChunkId id = _volume.Root;
        for (int level = _topLevel; ; level--)
        {
            if (id.IsHole)
            {
                long covered = MapTree.ChunksBelow(level + 1);
                return (id, Math.Min(covered - (chunk % covered), _tree.ChunkCount - chunk));
            }

            if (level < 0)
            {
                return (id, 1);
            }

            (byte[]? page, string? why) = await _pages.ReadAsync(id, level, cancellationToken);
            if (page is null)
            {
                throw Unreadable(id, chunk, $"it is a page of the volume's map, and {why}");
            }

            id = MapPages.Entry(page, (int)(chunk / MapTree.ChunksBelow(level) % MapTree.Fanout));
        }
    }

    private async ValueTask ReadChunkAsync(long chunk, ChunkId id, int from, Memory<byte> into, CancellationToken cancellationToken)
    {
        int length = LengthOf(chunk);
        if (into.Length == length)
        {
            ThrowIfNot(await _chunks.TryReadAsync(id, ChunkMeta.DataType, into, cancellationToken), id, chunk);
            return;
        }

        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            ThrowIfNot(await _chunks.TryReadAsync(id, ChunkMeta.DataType, rented.AsMemory(0, length), cancellationToken), id, chunk);
            rented.AsMemory(from, into.Length).CopyTo(into);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private void ThrowIfNot(string? why, ChunkId id, long chunk)
    {
        if (why is not null)
        {
            throw Unreadable(id, chunk, why);
        }
    }

    private QuenchException Unreadable(ChunkId id, long chunk, string why) =>
        VaultErrors.UnreadableChunk(id.ToString(), _volume.Name, chunk * _chunkSize, why);
}
