using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Vault.Index;

/// <summary>
/// Keeps an index up with the store. It forgets everything when a garbage collection has begun since (§11.1), reads only what is new otherwise,
/// and where index objects are damaged or lost it reads the directories of the packs instead (§8).
/// </summary>
internal sealed class VaultIndex(IObjectStore store, VaultKeys keys) : IDisposable
{
    private readonly SemaphoreSlim _refreshing = new(1, 1); // guards all below; _chunks may be read at any time
    private readonly HashSet<string> _read = new(StringComparer.Ordinal); // index objects that have been read, whole or not
    private readonly HashSet<Guid> _unreadable = []; // packs whose directory could not be read
    private readonly Dictionary<string, string> _damaged = new(StringComparer.Ordinal);
    private Dictionary<Guid, long> _listed = []; // packs in the store, with their lengths
    private volatile ChunkIndex _chunks = new();
    private HashSet<Guid> _condemned = []; // packs not to be relied on, as of the last refresh
    private bool _loaded;

    /// <summary>The index as of the last refresh.</summary>
    internal ChunkIndex Chunks => _chunks;

    /// <summary>The highest garbage collection that the last refresh saw; 0 for none.</summary>
    internal long Generation { get; private set; }

    /// <summary>A list of condemned packs that can't be read, if there is one: no session may begin then.</summary>
    internal string? DamagedCollection { get; private set; }

    /// <summary>Index objects that can't be read, each with what is wrong.</summary>
    internal IReadOnlyDictionary<string, string> Damaged => _damaged;

    /// <summary>The packs in the store with their lengths, as of the last refresh.</summary>
    internal IReadOnlyDictionary<Guid, long> Listed => _listed;

    /// <summary>Brings the index up to what was in the store when the call began.</summary>
    internal async Task<ChunkIndex> RefreshAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            HashSet<Guid> condemned = await ReadCollectionsAsync(cancellationToken);
            _condemned = condemned;
            List<string> names = [];
            await foreach (StoredObject found in store.ListAsync(ObjectNames.Indexes, cancellationToken))
            {
                names.Add(found.Name);
            }

            // Listed after the index objects: every pack that one of them names was there before it.
            _listed = await ListPacksAsync(cancellationToken);
            MarkPacks(condemned);
            names.Sort(StringComparer.Ordinal); // the same vault gives the same index, whatever order the store lists in
            foreach (string name in names.Where(_read.Add))
            {
                await ReadIndexAsync(name, condemned, cancellationToken);
            }

            if (_damaged.Count > 0)
            {
                await ReadDirectoriesAsync(condemned, cancellationToken);
            }

            _loaded = true;
            return _chunks;
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <summary>Finds a chunk, looking further the harder it is to find.</summary>
    internal async ValueTask<ChunkPlace?> FindAsync(ChunkId id, CancellationToken cancellationToken)
    {
        if (_chunks.TryFind(id, out ChunkPlace place, out _) && place.Pack.IsPresent)
        {
            return place;
        }

        // Not known, or in a pack that is gone: by now another session may have stored it, here or elsewhere.

        await RefreshAsync(cancellationToken);
        if (!_chunks.TryFind(id, out place, out _))
        {
            await RecoverAsync(cancellationToken);
        }

        return _chunks.TryFind(id, out place, out _) ? place : null;
    }

    /// <summary>Takes in the packs that no index object names.</summary>
    internal async Task RecoverAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            await ReadDirectoriesAsync(_condemned, cancellationToken); // a pack that is being deleted is in no index object any more
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _refreshing.Dispose();

    private async Task<HashSet<Guid>> ReadCollectionsAsync(CancellationToken cancellationToken)
    {
        HashSet<Guid> condemned = [];
        HashSet<long> begun = [];
        HashSet<long> done = [];
        long generation = 0;
        DamagedCollection = null;
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Collections, cancellationToken))
        {
            if (ObjectNames.TryParseNumber(found.Name, ObjectNames.Collections, out long number))
            {
                generation = Math.Max(generation, number);
                _ = (found.Name == ObjectNames.Condemned(number) && begun.Add(number)) || (found.Name == ObjectNames.Done(number) && done.Add(number));
            }
        }

        // What a finished generation condemned is either deleted, or was taken back and stays.
        foreach (long number in begun.Where(number => !done.Contains(number)))
        {
            if (!await TryReadCondemnedAsync(ObjectNames.Condemned(number), condemned, cancellationToken))
            {
                DamagedCollection = ObjectNames.Condemned(number);
            }
        }

        if (_loaded && generation != Generation)
        {
            _chunks = new ChunkIndex();
            _read.Clear();
            _damaged.Clear();
            _unreadable.Clear();
        }

        Generation = generation;
        return condemned;
    }

    private async Task<bool> TryReadCondemnedAsync(string name, HashSet<Guid> condemned, CancellationToken cancellationToken)
    {
        byte[]? bytes = await store.GetAsync(name, cancellationToken);
        return bytes is not null && TryTakeCondemned(keys.TryOpenEnvelope(EnvelopeKind.Condemned, name, bytes), condemned);
    }

    private static bool TryTakeCondemned(byte[]? body, HashSet<Guid> condemned)
    {
        if (body is null || !PackListBody.TryRead(body, out PackListBody packs))
        {
            return false;
        }

        for (int i = 0; i < packs.Count; i++)
        {
            condemned.Add(packs.PackId(i));
        }

        return true;
    }

    private async Task<Dictionary<Guid, long>> ListPacksAsync(CancellationToken cancellationToken)
    {
        Dictionary<Guid, long> packs = [];
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Packs, cancellationToken))
        {
            if (ObjectNames.TryParseId(found.Name, out Guid id) && found.Name == ObjectNames.Pack(id))
            {
                packs[id] = found.Length;
            }
        }

        return packs;
    }

    private void MarkPacks(HashSet<Guid> condemned)
    {
        foreach (IndexedPack pack in _chunks.Packs)
        {
            Mark(pack, condemned);
        }
    }

    private void Mark(IndexedPack pack, HashSet<Guid> condemned)
    {
        pack.IsPresent = _listed.TryGetValue(pack.Id, out long length) && length == pack.Length;
        pack.IsCondemned |= condemned.Contains(pack.Id);
    }

    private async Task ReadIndexAsync(string name, HashSet<Guid> condemned, CancellationToken cancellationToken)
    {
        byte[]? bytes = await store.GetAsync(name, cancellationToken);
        if (bytes is null)
        {
            _read.Remove(name); // listed and gone: a collector replaced it meanwhile, and the next refresh sees by what
            return;
        }

        TakeOrBlame(name, keys.TryOpenEnvelope(EnvelopeKind.Index, name, bytes), condemned);
    }

    private void TakeOrBlame(string name, byte[]? body, HashSet<Guid> condemned)
    {
        if (body is null || !IndexBody.TryRead(body, out IndexBody index))
        {
            _damaged[name] = $"the index object {name} is damaged";
        }
        else if (keys.TryUnwrap(index.Epoch, index.SessionId, index.WrappedKey) is not { } session)
        {
            _damaged[name] = $"the session key in the index object {name} does not open";
        }
        else
        {
            Take(index, session, condemned);
        }
    }

    private void Take(IndexBody index, SessionKey session, HashSet<Guid> condemned)
    {
        int[] numbers = new int[index.PackCount];
        for (int i = 0; i < numbers.Length; i++)
        {
            IndexedPack pack = new(index.PackId(i), index.PackLength(i), session);
            Mark(pack, condemned);
            numbers[i] = _chunks.AddPack(pack);
        }

        for (int i = 0; i < index.EntryCount; i++)
        {
            _chunks.Add(ChunkId.From(index.Id(i)), numbers[index.Pack(i)], index.Offset(i), index.SealedLength(i), index.Meta(i));
        }
    }

    private async Task ReadDirectoriesAsync(HashSet<Guid> condemned, CancellationToken cancellationToken)
    {
        foreach ((Guid id, long length) in _listed)
        {
            if (_chunks.TryFindPack(id, out _) || _unreadable.Contains(id))
            {
                continue;
            }

            PackContents? contents = await PackReader.TryReadAsync(store, keys, id, length, cancellationToken);
            if (contents is null)
            {
                _unreadable.Add(id);
                continue;
            }

            IndexedPack pack = new(id, length, contents.Session);
            Mark(pack, condemned);
            int number = _chunks.AddPack(pack);
            foreach (PackEntry entry in contents.Entries)
            {
                _chunks.Add(entry.Id, number, entry.Offset, entry.SealedLength, entry.Meta);
            }
        }
    }
}
