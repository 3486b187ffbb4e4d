using Quench.Blocks;
using Quench.Vault.Collection;
using Quench.Vault.Format;
using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Vault.Index;

/// <summary>
/// Keeps an index up with the store. It forgets everything when a garbage collection has begun since (§11.1), reads only what is new otherwise,
/// and where index objects are damaged or lost it reads the directories of the packs instead (§8). What a large vault's index objects say is
/// kept in a local cache.
/// </summary>
internal sealed partial class VaultIndex : IDisposable
{
    private readonly IObjectStore _store;
    private readonly VaultKeys _keys;
    private readonly CollectionLog _collections;
    private readonly IndexLimits _limits;

    private readonly SemaphoreSlim _refreshing = new(1, 1); // guards all below; _chunks may be read at any time
    private readonly HashSet<Guid> _unreadable = []; // packs whose directory could not be read
    private readonly Dictionary<string, string> _damaged = new(StringComparer.Ordinal);
    private readonly SessionKeys _sessions;
    private readonly List<ChunkIndex> _former = []; // sessions may still hold them
    private ReadLedger _ledger = new(); // of _chunks
    private IndexCache _cache;
    private Dictionary<Guid, long> _listed = []; // packs in the store, with their lengths
    private volatile ChunkIndex _chunks;
    private CondemnedPacks _condemned = CondemnedPacks.None; // as of the last refresh
    private bool _loaded;

    /// <summary>An index of nothing yet, with no lasting cache.</summary>
    internal VaultIndex(IObjectStore store, VaultKeys keys)
        : this(store, keys, null, IndexLimits.Default)
    {
    }

    /// <summary>An index of nothing yet.</summary>
    /// <param name="store">The vault's objects.</param>
    /// <param name="keys">The vault's keys.</param>
    /// <param name="cacheFolder">Where the cache lasts; null when it does not.</param>
    /// <param name="limits">What may be in memory.</param>
    internal VaultIndex(IObjectStore store, VaultKeys keys, string? cacheFolder, IndexLimits limits)
    {
        _store = store;
        _keys = keys;
        _collections = new CollectionLog(store, keys);
        _sessions = new SessionKeys(keys);
        _limits = limits;
        _cache = new IndexCache(keys, cacheFolder, IndexCache.DefaultTemporaryFolder);
        _chunks = new ChunkIndex(_cache, limits);
    }

    /// <summary>The index as of the last refresh.</summary>
    internal ChunkIndex Chunks => _chunks;

    /// <summary>The highest garbage collection that the last refresh saw; 0 for none.</summary>
    internal long Generation => _condemned.Generation;

    /// <summary>A list of condemned packs that can't be read, if there is one: no session may begin then.</summary>
    internal string? DamagedCollection => _condemned.Damaged;

    /// <summary>Index objects that can't be read, each with what is wrong.</summary>
    internal IReadOnlyDictionary<string, string> Damaged => _damaged;

    /// <summary>The packs in the store with their lengths, as of the last refresh.</summary>
    internal IReadOnlyDictionary<Guid, long> Listed => _listed;

    /// <summary>Whether a garbage collection that the last refresh saw has condemned a pack.</summary>
    internal bool IsCondemned(Guid pack) => _condemned.Packs.Contains(pack);

    /// <summary>How many index objects the last refresh read.</summary>
    internal int LastRead { get; private set; }

    /// <summary>Brings the index up to what was in the store when the call began.</summary>
    internal async Task<ChunkIndex> RefreshAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            await ReadCollectionsAsync(cancellationToken);
            List<string> names = [];
            await foreach (StoredObject found in _store.ListAsync(ObjectNames.Indexes, cancellationToken))
            {
                names.Add(found.Name);
            }

            // Listed after the index objects: every pack that one of them names was there before it.
            _listed = await ListPacksAsync(cancellationToken);
            if (!_loaded)
            {
                TakeCache();
                _loaded = true;
            }

            MarkPacks();
            names.Sort(StringComparer.Ordinal); // the same vault gives the same index, whatever order the store lists in
            await ReadNewAsync(names, cancellationToken);
            if (_damaged.Count > 0)
            {
                await ReadDirectoriesAsync(cancellationToken);
            }

            Publish(atOnce: false);
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
        try
        {
            if (TryFind(id) is { Pack.IsPresent: true } place)
            {
                return place;
            }
        }
        catch (QuenchException failure) when (failure.Code == VaultErrors.IndexCacheCode)
        {
            // The refresh leaves the damaged cache.
        }

        // Not known, or in a pack that is gone: by now another session may have stored it, here or elsewhere.
        await RefreshAsync(cancellationToken);
        if (TryFind(id) is null)
        {
            await RecoverAsync(cancellationToken);
        }

        return TryFind(id);
    }

    /// <summary>Takes in the packs that no index object names.</summary>
    internal async Task RecoverAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            await ReadDirectoriesAsync(cancellationToken);
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <summary>Takes in an index object that a session of this process has just put.</summary>
    /// <param name="known">The index that the session asks; this one's at the time the session began.</param>
    /// <param name="name">The object's name.</param>
    /// <param name="body">Its body.</param>
    /// <param name="session">The session's key.</param>
    /// <param name="cancellationToken">Gives up; the index may then know a part of it, all of which is true.</param>
    internal async Task TakeOwnAsync(
        ChunkIndex known, string name, ReadOnlyMemory<byte> body, SessionKey session, CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            TakeOwn(known, name, new IndexBody(body.Span), session);
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _former.ForEach(former => former.Dispose());
        _chunks.Dispose();
        _refreshing.Dispose();
    }

    private void TakeOwn(ChunkIndex known, string name, IndexBody index, SessionKey session)
    {
        int spills = known.Spills;
        Take(known, index, session, own: true);
        if (ReferenceEquals(known, _chunks))
        {
            _ledger.NoteRead(name);
            _ledger.NoteEntries(name, index, known.Spills != spills);
            if (known.Spills != spills)
            {
                Publish(atOnce: true);
            }
        }
    }

    private ChunkPlace? TryFind(ChunkId id) => _chunks.TryFind(id, out ChunkPlace place, out _) ? place : null;

    private async Task ReadCollectionsAsync(CancellationToken cancellationToken)
    {
        CondemnedPacks now = await _collections.ReadCondemnedAsync(cancellationToken);
        if (_chunks.IsDamaged)
        {
            _cache.TryDrop(always: false); // else it would be taken again
            Forget();
        }
        else if (_loaded && now.Generation != Generation)
        {
            Forget();
        }

        _condemned = now;
    }

    private void Forget()
    {
        _former.Add(_chunks);
        _chunks = new ChunkIndex(_cache, _limits);
        _ledger = new ReadLedger();
        _damaged.Clear();
        _unreadable.Clear();
        _loaded = false;
    }

    private async Task<Dictionary<Guid, long>> ListPacksAsync(CancellationToken cancellationToken)
    {
        Dictionary<Guid, long> packs = [];
        await foreach (StoredObject found in _store.ListAsync(ObjectNames.Packs, cancellationToken))
        {
            if (ObjectNames.TryParseId(found.Name, out Guid id) && found.Name == ObjectNames.Pack(id))
            {
                packs[id] = found.Length;
            }
        }

        return packs;
    }

    private void MarkPacks()
    {
        foreach (IndexedPack pack in _chunks.Packs)
        {
            Mark(pack);
        }
    }

    private void Mark(IndexedPack pack)
    {
        pack.IsPresent = _listed.TryGetValue(pack.Id, out long length) && length == pack.Length;
        pack.IsCondemned |= _condemned.Packs.Contains(pack.Id);
    }

    private async Task ReadNewAsync(List<string> names, CancellationToken cancellationToken)
    {
        LastRead = 0;
        foreach (string name in names.Where(name => !_ledger.HasRead(name)))
        {
            // What is in memory now is in a run after the next spill, and this object's entries are in part.
            int spills = _chunks.Spills;
            byte[]? bytes = await _store.GetAsync(name, cancellationToken);
            if (bytes is null)
            {
                continue; // listed and gone: a collector replaced it meanwhile, and the next refresh sees by what
            }

            LastRead++;
            if (TryOpen(name, bytes, out ReadOnlyMemory<byte> body) is { } wrong)
            {
                _damaged[name] = wrong;
            }
            else
            {
                Take(name, body, spills);
            }

            _ledger.NoteRead(name);
        }
    }

    private void Take(string name, ReadOnlyMemory<byte> body, int spillsBefore)
    {
        IndexBody index = new(body.Span);
        Take(_chunks, index, _sessions.TryUnwrap(index.Epoch, index.SessionId, index.WrappedKey)!, own: false);
        _ledger.NoteEntries(name, index, _chunks.Spills != spillsBefore);
    }

    /// <summary>Opens an index object.</summary>
    /// <returns>What is wrong with it; null when nothing is.</returns>
    private string? TryOpen(string name, byte[] bytes, out ReadOnlyMemory<byte> body)
    {
        _ = _keys.TryOpenEnvelopeInPlace(EnvelopeKind.Index, name, bytes, out body);
        return !IndexBody.TryRead(body.Span, out IndexBody index) ? $"the index object {name} is damaged"
            : _sessions.TryUnwrap(index.Epoch, index.SessionId, index.WrappedKey) is null ? $"the session key in the index object {name} does not open"
            : null;
    }

    /// <param name="chunks">Where to.</param>
    /// <param name="index">A sound body.</param>
    /// <param name="session">Its session's key.</param>
    /// <param name="own">Its packs have just been put by this process: no listing knows them yet.</param>
    private void Take(ChunkIndex chunks, IndexBody index, SessionKey session, bool own)
    {
        int[] numbers = new int[index.PackCount];
        for (int i = 0; i < numbers.Length; i++)
        {
            IndexedPack pack = new(index.PackId(i), index.PackLength(i), session);
            if (!own)
            {
                Mark(pack);
            }

            numbers[i] = chunks.AddPack(pack, isNamed: true);
        }

        int[]? order = chunks.Runs.Count > 0 ? InOrder(index) : null;
        for (int i = 0; i < index.EntryCount; i++)
        {
            int entry = order is null ? i : order[i];
            chunks.Add(
                ChunkId.From(index.Id(entry)), numbers[index.Pack(entry)], index.Offset(entry), index.SealedLength(entry), index.Meta(entry));
        }
    }

    /// <summary>Entries in the order of their ids: so the filters are walked through and not jumped about in, and a page is read once.</summary>
    private static int[] InOrder(IndexBody index)
    {
        ulong[] prefixes = new ulong[index.EntryCount];
        int[] order = new int[prefixes.Length];
        for (int i = 0; i < order.Length; i++)
        {
            prefixes[i] = IndexRecord.PeekPrefix(index.Id(i));
            order[i] = i;
        }

        Array.Sort(prefixes, order);
        return order;
    }

    private async Task ReadDirectoriesAsync(CancellationToken cancellationToken)
    {
        foreach ((Guid id, long length) in _listed)
        {
            if ((_chunks.TryFindPack(id, out _) && !_ledger.IsIncomplete(id)) || _unreadable.Contains(id))
            {
                continue;
            }

            PackContents? contents = await PackReader.TryReadAsync(_store, _keys, id, length, cancellationToken);
            if (contents is null)
            {
                _unreadable.Add(id);
                continue;
            }

            IndexedPack pack = new(id, length, _sessions.Shared(contents.Session));
            Mark(pack);
            int number = _chunks.AddPack(pack, isNamed: false);
            foreach (PackEntry entry in contents.Entries)
            {
                _chunks.Add(entry.Id, number, entry.Offset, entry.SealedLength, entry.Meta);
            }

            _ledger.NotePack(id);
        }
    }
}
