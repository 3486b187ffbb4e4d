using System.Buffers;
using Quench.Vault.Format;

namespace Quench.Vault.Copying;

/// <summary>What one thing is called in the source and in the target; both may be the hole.</summary>
internal readonly record struct Twin(ChunkId Source, ChunkId Target)
{
    internal bool IsNone => Source.IsHole;
}

/// <summary>
/// Copies a volume's map and what it names between vaults with the same chunk size: the grid is the same, so the tree has the same shape and only its
/// ids differ. Each page is read, its children are copied or found, and the page is made anew of their new ids. (docs/vault-format.md §9.2)
/// </summary>
/// <remarks>
/// What has been met before is not visited again: by <see cref="IdMap"/>, and by walking beside an earlier point of the same volume whose copy the
/// target has. An entry that is the same there has the same copy; so an incremental copy reads what changed, whatever the volume's size.
/// </remarks>
internal sealed class TreeCopy(ChunkReader source, ChunkReader target, ChunkSink sink, IdMap known, VolumeRecord volume, int chunkSize)
{
    private readonly MapTree _tree = new((volume.Length / chunkSize) + (volume.Length % chunkSize == 0 ? 0 : 1));
    private long _readBytes;

    /// <summary>Told up to which byte of the volume all is done.</summary>
    internal required Action<long> Reached { get; init; }

    /// <summary>Plaintext bytes read from the source.</summary>
    internal long ReadBytes => Interlocked.Read(ref _readBytes);

    /// <summary>Copies the volume.</summary>
    /// <param name="earlier">The roots of an earlier point of a volume with this length, and of its copy; the hole for none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The root in the target.</returns>
    internal async Task<ChunkId> RunAsync(Twin earlier, CancellationToken cancellationToken) =>
        volume.Root.IsHole ? volume.Root
        : volume.Root == earlier.Source ? earlier.Target
        : await CopyPageAsync(volume.Root, _tree.TopLevel, 0, earlier, cancellationToken);

    private async Task<ChunkId> CopyPageAsync(ChunkId id, int level, long first, Twin earlier, CancellationToken cancellationToken)
    {
        if (known.TryFind(id, out ChunkId copied))
        {
            return copied;
        }

        byte[] page = await ReadSourceAsync(id, level, first, cancellationToken);
        (byte[]? before, byte[]? beforeCopied) = await ReadEarlierAsync(earlier, level, cancellationToken);
        byte[] copy = new byte[MapTree.PageSize];
        List<int> changed = TakeEqual(page, before, beforeCopied, copy);
        if (level == 0)
        {
            await Parallel.ForEachAsync(changed, Lanes(cancellationToken), async (entry, token) =>
                Put(copy, entry, await CopyChunkAsync(MapPages.Entry(page, entry), first + entry, token)));
            await sink.SettleNowAndThenAsync(cancellationToken);
        }

        foreach (int entry in level > 0 ? changed : [])
        {
            Twin below = before is null ? default : new Twin(MapPages.Entry(before, entry), MapPages.Entry(beforeCopied!, entry));
            Put(copy, entry, await CopyPageAsync(MapPages.Entry(page, entry), level - 1, first + (entry * MapTree.ChunksBelow(level)), below, cancellationToken));
        }

        copied = await sink.AddPageAsync(level, copy, cancellationToken);
        known.Add(id, copied);
        Reached(Math.Min(volume.Length, (first + MapTree.ChunksBelow(level + 1)) * chunkSize));
        return copied;
    }

    /// <summary>Fills in the entries whose copies are known from the earlier point.</summary>
    /// <returns>The others that are not holes.</returns>
    private static List<int> TakeEqual(byte[] page, byte[]? before, byte[]? beforeCopied, byte[] copy)
    {
        List<int> changed = [];
        for (int entry = 0; entry < MapTree.Fanout; entry++)
        {
            ChunkId child = MapPages.Entry(page, entry);
            if (before is not null && child == MapPages.Entry(before, entry))
            {
                Put(copy, entry, MapPages.Entry(beforeCopied!, entry));
            }
            else if (!child.IsHole)
            {
                changed.Add(entry);
            }
        }

        return changed;
    }

    private async ValueTask<ChunkId> CopyChunkAsync(ChunkId id, long chunk, CancellationToken cancellationToken)
    {
        if (known.TryFind(id, out ChunkId copied))
        {
            return copied;
        }

        int length = (int)Math.Min(chunkSize, volume.Length - (chunk * chunkSize));
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            Memory<byte> plaintext = rented.AsMemory(0, length);
            if (await source.TryReadAsync(id, ChunkMeta.DataType, plaintext, cancellationToken) is { } why)
            {
                throw VaultErrors.UnreadableChunk(id.ToString(), volume.Name, chunk * chunkSize, why);
            }

            Interlocked.Add(ref _readBytes, length);
            copied = await sink.AddDataAsync(plaintext, cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        known.Add(id, copied);
        return copied;
    }

    private async Task<byte[]> ReadSourceAsync(ChunkId id, int level, long first, CancellationToken cancellationToken)
    {
        byte[] page = new byte[MapTree.PageSize];
        if (await source.TryReadAsync(id, ChunkMeta.PageTypeOf(level), page, cancellationToken) is { } why)
        {
            throw VaultErrors.UnreadableChunk(id.ToString(), volume.Name, first * chunkSize, $"it is a page of the volume's map, and {why}");
        }

        Interlocked.Add(ref _readBytes, page.Length);
        return page;
    }

    /// <summary>Reads the pages that lay here in the earlier point and lie here in its copy; none when either can't be had: then all is copied.</summary>
    private async Task<(byte[]? Before, byte[]? Copied)> ReadEarlierAsync(Twin earlier, int level, CancellationToken cancellationToken)
    {
        if (earlier.IsNone || earlier.Target.IsHole)
        {
            return default;
        }

        byte[] before = new byte[MapTree.PageSize];
        byte[] copied = new byte[MapTree.PageSize];
        byte type = ChunkMeta.PageTypeOf(level);
        return await source.TryReadAsync(earlier.Source, type, before, cancellationToken) is null
            && await target.TryReadAsync(earlier.Target, type, copied, cancellationToken) is null
            ? (before, copied)
            : default;
    }

    private static ParallelOptions Lanes(CancellationToken cancellationToken) =>
        new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };

    private static void Put(byte[] page, int entry, ChunkId id) => id.CopyTo(page.AsSpan(entry * MapTree.IdSize));
}
