using Quench.Vault.Index;

namespace Quench.Vault.Collection;

/// <summary>
/// What the recovery points of one moment need: a bit for each chunk of an index, and for each pack how much of it that is. So memory is a bit a
/// chunk, whatever the number of points. Not thread-safe.
/// </summary>
internal sealed class LiveSet(IChunkIndex index)
{
    private readonly Dictionary<Guid, long> _bytes = []; // of each pack that holds something needed: the sealed bytes of that
    private readonly OrdinalSet _known = new(); // needed chunks that the index knows

    /// <summary>Needed chunks that no pack in the store holds, as far as the index knows.</summary>
    internal HashSet<ChunkId> Missing { get; } = [];

    /// <summary>The points that were forgotten at that moment.</summary>
    internal IReadOnlySet<Guid> Forgotten { get; init; } = new HashSet<Guid>();

    /// <summary>Points that were walked.</summary>
    internal int Points { get; set; }

    /// <summary>Takes a chunk in.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="known">Whether the index knows it.</param>
    /// <returns>True when it had not been taken in before.</returns>
    internal bool Add(ChunkId id, out bool known)
    {
        known = index.TryFind(id, out ChunkPlace place, out int ordinal);
        if (!known)
        {
            return Missing.Add(id);
        }

        if (!_known.Add(ordinal))
        {
            return false;
        }

        _bytes[place.Pack.Id] = _bytes.GetValueOrDefault(place.Pack.Id) + place.SealedLength;
        if (!place.Pack.IsPresent)
        {
            Missing.Add(id);
        }

        return true;
    }

    /// <summary>Whether a chunk is needed, and from this pack.</summary>
    internal bool NeedsFrom(Guid pack, ChunkId id) =>
        index.TryFind(id, out ChunkPlace place, out int ordinal) && place.Pack.Id == pack && _known.Contains(ordinal);

    /// <summary>Sealed bytes that are needed of a pack; 0 when it can go.</summary>
    internal long BytesIn(Guid pack) => _bytes.GetValueOrDefault(pack);
}
