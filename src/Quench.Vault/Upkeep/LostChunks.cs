using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Upkeep;

/// <summary>
/// Where in the volumes the chunks belong that can't be read, and their plaintext from good copies. A page of a map is computed from the
/// copy's bytes that it covers: all ids follow from content.
/// </summary>
internal sealed class LostChunks(ChunkReader chunks, VaultKeys keys, int chunkSize, IReadOnlyList<GoodCopy> copies)
{
    private const int MaxPlaces = 16; // of one chunk; the same bytes in many places need not all be asked for
    private readonly Dictionary<ChunkId, List<Place>> _places = [];

    /// <summary>Finds the places of chunks in the points' volumes. Pages that can't be read are found too; what is below them is not.</summary>
    internal async Task LocateAsync(IEnumerable<RecoveryPoint> points, IReadOnlySet<ChunkId> lost, CancellationToken cancellationToken)
    {
        _places.Clear();
        foreach (VolumeRecord volume in points.SelectMany(point => point.Volumes).DistinctBy(volume => (volume.Root, volume.Length, volume.Name)))
        {
            Place page = new(volume, 0, 0, -1);
            MapWalk walk = new(chunks, volume, chunkSize)
            {
                Enter = (_, level, first) =>
                {
                    page = new Place(volume, first * chunkSize, 0, level);
                    return true;
                },
                Chunk = (id, offset, length) => Note(lost, id, new Place(volume, offset, length, -1)),
                Unreadable = (id, _, extent) => Note(lost, id, page with { Length = extent.Length }),
            };
            await walk.RunAsync(cancellationToken);
        }
    }

    /// <summary>Whether a point needs a chunk, as far as the maps can be read.</summary>
    internal bool IsNeeded(ChunkId id) => _places.ContainsKey(id);

    /// <summary>Gets a chunk's plaintext from a good copy.</summary>
    /// <param name="id">Its id, which what is found has.</param>
    /// <param name="meta">As the pack has it.</param>
    /// <param name="plaintext">Receives it; as long as <paramref name="meta"/> says.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The name of the copy that had it; null when none has.</returns>
    internal async Task<string?> TryGetAsync(ChunkId id, ChunkMeta meta, Memory<byte> plaintext, CancellationToken cancellationToken)
    {
        foreach (Place place in _places.GetValueOrDefault(id, []))
        {
            foreach (GoodCopy copy in copies.Where(copy => copy.Fits(place.Volume) && copy.Volume.Geometry.Length >= place.Offset + place.Length))
            {
                bool read = meta.Type == ChunkMeta.DataType
                    ? place.Level < 0 && place.Length == plaintext.Length && await TryReadAsync(copy, place.Offset, plaintext, cancellationToken)
                    : place.Level >= 0 && meta.Type == ChunkMeta.PageTypeOf(place.Level) && plaintext.Length == MapTree.PageSize
                        && await TryComputePageAsync(copy, place.Volume, place.Level, place.Offset / chunkSize, plaintext, cancellationToken);
                if (read && keys.Identify(meta.Type, plaintext.Span) == id)
                {
                    return copy.Name;
                }
            }
        }

        return null;
    }

    private void Note(IReadOnlySet<ChunkId> lost, ChunkId id, Place place)
    {
        if (!lost.Contains(id))
        {
            return;
        }

        if (!_places.TryGetValue(id, out List<Place>? places))
        {
            _places[id] = places = [];
        }

        if (places.Count < MaxPlaces)
        {
            places.Add(place);
        }
    }

    private static async ValueTask<bool> TryReadAsync(GoodCopy copy, long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        try
        {
            await copy.Volume.ReadAsync(offset, into, cancellationToken);
            return true;
        }
        catch (Exception failure) when (failure is QuenchException or IOException)
        {
            return false; // a copy that is damaged there too is no copy
        }
    }

    /// <summary>Computes the page of a map that covers these chunks. (§9.2)</summary>
    private async ValueTask<bool> TryComputePageAsync(
        GoodCopy copy, VolumeRecord volume, int level, long firstChunk, Memory<byte> page, CancellationToken cancellationToken)
    {
        page.Span.Clear();
        long below = MapTree.ChunksBelow(level);
        byte[] part = new byte[level == 0 ? chunkSize : MapTree.PageSize];
        for (int entry = 0; entry < MapTree.Fanout; entry++)
        {
            long chunk = firstChunk + (entry * below);
            if (chunk * chunkSize >= volume.Length)
            {
                break;
            }

            Memory<byte> content = level == 0 ? part.AsMemory(0, (int)Math.Min(chunkSize, volume.Length - (chunk * chunkSize))) : part;
            bool known = level == 0
                ? await TryReadAsync(copy, chunk * chunkSize, content, cancellationToken)
                : await TryComputePageAsync(copy, volume, level - 1, chunk, content, cancellationToken);
            if (!known)
            {
                return false;
            }

            if (content.Span.ContainsAnyExcept((byte)0))
            {
                byte type = level == 0 ? ChunkMeta.DataType : ChunkMeta.PageTypeOf(level - 1);
                keys.Identify(type, content.Span).CopyTo(page.Span.Slice(entry * MapTree.IdSize, MapTree.IdSize));
            }
        }

        return true;
    }

    /// <param name="Volume">The volume.</param>
    /// <param name="Offset">Of the first byte that the chunk, or the page, stands for.</param>
    /// <param name="Length">Bytes.</param>
    /// <param name="Level">Of a page; −1 for data.</param>
    private sealed record Place(VolumeRecord Volume, long Offset, long Length, int Level);
}
