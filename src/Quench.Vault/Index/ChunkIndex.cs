using System.Diagnostics.CodeAnalysis;
using Quench.Vault.Format;
using Quench.Vault.Keys;

namespace Quench.Vault.Index;

/// <summary>A pack as the index knows it.</summary>
internal sealed class IndexedPack(Guid id, long length, SessionKey session)
{
    internal Guid Id { get; } = id;

    /// <summary>Bytes it should have.</summary>
    internal long Length { get; } = length;

    internal SessionKey Session { get; } = session;

    /// <summary>Whether it is in the store, with that length.</summary>
    internal bool IsPresent { get; set; } = true;

    /// <summary>Whether a garbage collection has condemned it: it can be read, and not be relied on.</summary>
    internal bool IsCondemned { get; set; }
}

/// <summary>Where a chunk is.</summary>
internal readonly record struct ChunkPlace(IndexedPack Pack, int Offset, int SealedLength, ChunkMeta Meta);

/// <summary>Which chunk is where. All methods may be called from any thread.</summary>
/// <remarks>This is what the rest of the vault knows of an index, so that one on disk with bounded memory can take the place of the table.</remarks>
internal interface IChunkIndex
{
    /// <summary>How many chunks there are.</summary>
    int Count { get; }

    /// <summary>Finds a chunk.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="place">Where it is.</param>
    /// <param name="ordinal">Its number, from 0, the same for the index's life.</param>
    bool TryFind(ChunkId id, out ChunkPlace place, out int ordinal);

    /// <summary>Whether a chunk is there to stay: in a pack that is present and not condemned.</summary>
    bool CanRelyOn(ChunkId id);
}

/// <summary>The index in memory: at most 59 bytes for each chunk.</summary>
internal sealed class ChunkIndex : IChunkIndex
{
    private const int PageBits = 12;
    private const int PageLength = 1 << PageBits;

    private readonly Lock _gate = new(); // guards the four below
    private readonly IdTable _ids = new();
    private readonly List<Location[]> _locations = []; // by ordinal
    private readonly List<IndexedPack> _packs = [];
    private readonly Dictionary<Guid, int> _packNumbers = [];

    /// <inheritdoc/>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _ids.Count;
            }
        }
    }

    /// <summary>The packs, a copy.</summary>
    internal IndexedPack[] Packs
    {
        get
        {
            lock (_gate)
            {
                return [.. _packs];
            }
        }
    }

    /// <inheritdoc/>
    public bool TryFind(ChunkId id, out ChunkPlace place, out int ordinal)
    {
        lock (_gate)
        {
            ordinal = _ids.Find(id);
            if (ordinal < 0)
            {
                place = default;
                return false;
            }

            ref readonly Location found = ref _locations[ordinal >> PageBits][ordinal & (PageLength - 1)];
            place = new ChunkPlace(_packs[found.Pack], found.Offset, found.SealedLength, new ChunkMeta(found.Meta));
            return true;
        }
    }

    /// <inheritdoc/>
    public bool CanRelyOn(ChunkId id) => TryFind(id, out ChunkPlace place, out _) && place.Pack is { IsPresent: true, IsCondemned: false };

    /// <summary>The pack of an id, if it is known.</summary>
    internal bool TryFindPack(Guid id, [NotNullWhen(true)] out IndexedPack? pack)
    {
        lock (_gate)
        {
            pack = _packNumbers.TryGetValue(id, out int number) ? _packs[number] : null;
            return pack is not null;
        }
    }

    /// <summary>Makes a pack known.</summary>
    /// <returns>Its number; that of the pack with the same id when there is one.</returns>
    internal int AddPack(IndexedPack pack)
    {
        lock (_gate)
        {
            if (!_packNumbers.TryGetValue(pack.Id, out int number))
            {
                number = _packs.Count;
                _packs.Add(pack);
                _packNumbers.Add(pack.Id, number);
            }

            return number;
        }
    }

    /// <summary>Says where a chunk is. Of several places the first of the best stays: one to rely on, or else one that can at least be read.</summary>
    internal void Add(ChunkId id, int pack, int offset, int sealedLength, ChunkMeta meta)
    {
        lock (_gate)
        {
            bool isNew = _ids.TryAdd(id, out int ordinal);
            if ((ordinal >> PageBits) == _locations.Count)
            {
                _locations.Add(new Location[PageLength]);
            }

            ref Location place = ref _locations[ordinal >> PageBits][ordinal & (PageLength - 1)];
            if (isNew || Worth(_packs[pack]) > Worth(_packs[place.Pack]))
            {
                place = new Location(pack, offset, sealedLength, meta.Bits);
            }
        }
    }

    private static int Worth(IndexedPack pack) => !pack.IsPresent ? 0 : pack.IsCondemned ? 1 : 2;

    private readonly record struct Location(int Pack, int Offset, int SealedLength, uint Meta);
}
