using Quench.Blocks;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>A pack as an index object tells it.</summary>
internal sealed record BookedPack(long Length, SessionKey Session, PackEntry[] Entries);

/// <summary>
/// What the index objects say of some packs and some chunks, read anew from the store: the table in memory knows one place of each chunk, and
/// a repair wants all of a pack's chunks and all places of a chunk.
/// </summary>
internal sealed class PackBook(IObjectStore store, VaultKeys keys)
{
    private readonly HashSet<Guid> _named = [];
    private readonly Dictionary<Guid, BookedPack> _packs = [];
    private readonly Dictionary<ChunkId, List<(Guid Pack, SessionKey Session, PackEntry Entry)>> _places = [];

    /// <summary>All packs that an index object names.</summary>
    internal IReadOnlySet<Guid> Named => _named;

    /// <summary>What is known of a pack; null when no index object names it.</summary>
    internal BookedPack? Find(Guid pack) => _packs.GetValueOrDefault(pack);

    /// <summary>Every place of a chunk.</summary>
    internal IReadOnlyList<(Guid Pack, SessionKey Session, PackEntry Entry)> Places(ChunkId id) =>
        _places.TryGetValue(id, out List<(Guid, SessionKey, PackEntry)>? places) ? places : [];

    /// <summary>Reads all index objects for what they say of these packs and chunks, and the directories of packs that none names.</summary>
    /// <param name="packs">Packs to know all about; what was read of others before is kept.</param>
    /// <param name="chunks">Chunks to know all places of.</param>
    /// <param name="listed">The packs in the store, with their lengths.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async Task ReadAsync(
        IReadOnlySet<Guid> packs, IReadOnlySet<ChunkId> chunks, IReadOnlyDictionary<Guid, long> listed, CancellationToken cancellationToken)
    {
        _places.Clear();
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Indexes, cancellationToken))
        {
            byte[]? bytes = await store.GetAsync(found.Name, cancellationToken);
            if (bytes is not null && keys.TryOpenEnvelope(EnvelopeKind.Index, found.Name, bytes) is { } body)
            {
                Take(body, packs, chunks);
            }
        }

        foreach ((Guid pack, long length) in listed.Where(entry => !_named.Contains(entry.Key)))
        {
            PackContents? contents = await TryReadDirectoryAsync(pack, length, cancellationToken);
            foreach (PackEntry entry in contents?.Entries.Where(entry => chunks.Contains(entry.Id)) ?? [])
            {
                AddPlace(entry.Id, pack, contents!.Session, entry);
            }
        }
    }

    private async Task<PackContents?> TryReadDirectoryAsync(Guid pack, long length, CancellationToken cancellationToken)
    {
        try
        {
            return await PackReader.TryReadAsync(store, keys, pack, length, cancellationToken);
        }
        catch (QuenchException)
        {
            return null; // the medium fails there
        }
    }

    private void Take(byte[] body, IReadOnlySet<Guid> packs, IReadOnlySet<ChunkId> chunks)
    {
        if (!IndexBody.TryRead(body, out IndexBody index) || keys.TryUnwrap(index.Epoch, index.SessionId, index.WrappedKey) is not { } session)
        {
            return;
        }

        List<PackEntry>?[] wanted = new List<PackEntry>?[index.PackCount];
        for (int pack = 0; pack < wanted.Length; pack++)
        {
            _named.Add(index.PackId(pack));
            wanted[pack] = packs.Contains(index.PackId(pack)) ? [] : null;
        }

        for (int i = 0; i < index.EntryCount; i++)
        {
            ChunkId id = ChunkId.From(index.Id(i));
            PackEntry entry = new(id, index.Offset(i), index.SealedLength(i), index.Meta(i));
            wanted[index.Pack(i)]?.Add(entry);
            if (chunks.Contains(id))
            {
                AddPlace(id, index.PackId(index.Pack(i)), session, entry);
            }
        }

        for (int pack = 0; pack < wanted.Length; pack++)
        {
            if (wanted[pack] is { } entries)
            {
                _packs[index.PackId(pack)] = new BookedPack(index.PackLength(pack), session, [.. entries.OrderBy(entry => entry.Offset)]);
            }
        }
    }

    private void AddPlace(ChunkId id, Guid pack, SessionKey session, PackEntry entry)
    {
        if (!_places.TryGetValue(id, out List<(Guid, SessionKey, PackEntry)>? places))
        {
            _places[id] = places = [];
        }

        places.Add((pack, session, entry));
    }
}
