using Quench.Blocks;
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
internal sealed class VaultIndex : IDisposable
{
    private const int WorthAState = 64; // index objects that the cache does not know yet

    private readonly IObjectStore _store;
    private readonly VaultKeys _keys;
    private readonly IndexLimits _limits;

    private readonly SemaphoreSlim _refreshing = new(1, 1); // guards all below; _chunks may be read at any time
    private readonly HashSet<string> _read = new(StringComparer.Ordinal); // index objects that have been read, whole or not, or are in the cache
    private readonly HashSet<Guid> _inCache = []; // index objects all of whose entries are in the runs
    private readonly HashSet<Guid> _inMemory = []; // those read since the last run was written
    private readonly HashSet<Guid> _packsInMemory = []; // whose entries are not all in the runs
    private readonly HashSet<Guid> _incomplete = []; // of the packs that the cache named, those whose entries it has not all got
    private readonly HashSet<string> _unseen = new(StringComparer.Ordinal); // index objects that only the cache has read
    private readonly HashSet<Guid> _unreadable = []; // packs whose directory could not be read
    private readonly Dictionary<string, string> _damaged = new(StringComparer.Ordinal);
    private readonly Dictionary<Guid, SessionKey> _sessions = [];
    private readonly List<ChunkIndex> _former = []; // sessions may still hold them
    private IndexCache _cache;
    private Dictionary<Guid, long> _listed = []; // packs in the store, with their lengths
    private volatile ChunkIndex _chunks;
    private HashSet<Guid> _condemned = []; // packs not to be relied on, as of the last refresh
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
        _limits = limits;
        _cache = new IndexCache(keys, cacheFolder, IndexCache.DefaultTemporaryFolder);
        _chunks = new ChunkIndex(_cache, limits);
    }

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

    /// <summary>Whether a garbage collection that the last refresh saw has condemned a pack.</summary>
    internal bool IsCondemned(Guid pack) => _condemned.Contains(pack);

    /// <summary>What went wrong with the cache, one sentence each. Nothing else suffers from it.</summary>
    internal IReadOnlyList<string> Warnings => _cache.Warnings;

    /// <summary>How many index objects the last refresh read.</summary>
    internal int LastRead { get; private set; }

    /// <summary>Says where the cache lasts. Only before the first refresh.</summary>
    internal void UseFolder(string? folder)
    {
        if (_loaded)
        {
            throw new InvalidOperationException("the cache's place is chosen before the index is first read");
        }

        _chunks.Dispose();
        _cache = new IndexCache(_keys, folder, IndexCache.DefaultTemporaryFolder);
        _chunks = new ChunkIndex(_cache, _limits);
    }

    /// <summary>Brings the index up to what was in the store when the call began.</summary>
    internal async Task<ChunkIndex> RefreshAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            _condemned = await ReadCollectionsAsync(cancellationToken);
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

    /// <summary>Reads the index objects that only the cache has read so far, to see whether they are still sound.</summary>
    internal async Task CheckCachedAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            foreach (string name in _unseen)
            {
                byte[]? bytes = await _store.GetAsync(name, cancellationToken);
                if (bytes is not null && TryOpen(name, bytes, out _) is { } wrong)
                {
                    _damaged[name] = wrong;
                }
            }

            _unseen.Clear();
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

    /// <summary>Deletes the cache, whoever has made it. The index itself stays as it is.</summary>
    /// <returns>False when another process was at it.</returns>
    internal bool DropCache() => _cache.TryDrop(always: true);

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
            _read.Add(name);
            NoteRead(name, index, spills);
            if (known.Spills != spills)
            {
                Publish(atOnce: true);
            }
        }
    }

    private ChunkPlace? TryFind(ChunkId id) => _chunks.TryFind(id, out ChunkPlace place, out _) ? place : null;

    private async Task<HashSet<Guid>> ReadCollectionsAsync(CancellationToken cancellationToken)
    {
        HashSet<Guid> condemned = [];
        HashSet<long> begun = [];
        HashSet<long> done = [];
        long generation = 0;
        DamagedCollection = null;
        await foreach (StoredObject found in _store.ListAsync(ObjectNames.Collections, cancellationToken))
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

        if (_chunks.IsDamaged)
        {
            _cache.TryDrop(always: false); // else it would be taken again
            Forget();
        }
        else if (_loaded && generation != Generation)
        {
            Forget();
        }

        Generation = generation;
        return condemned;
    }

    private void Forget()
    {
        _former.Add(_chunks);
        _chunks = new ChunkIndex(_cache, _limits);
        _read.Clear();
        _inCache.Clear();
        _inMemory.Clear();
        _packsInMemory.Clear();
        _incomplete.Clear();
        _unseen.Clear();
        _damaged.Clear();
        _unreadable.Clear();
        _loaded = false;
    }

    private async Task<bool> TryReadCondemnedAsync(string name, HashSet<Guid> condemned, CancellationToken cancellationToken)
    {
        byte[]? bytes = await _store.GetAsync(name, cancellationToken);
        return bytes is not null && TryTakeCondemned(_keys.TryOpenEnvelope(EnvelopeKind.Condemned, name, bytes), condemned);
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
        pack.IsCondemned |= _condemned.Contains(pack.Id);
    }

    /// <summary>Begins with what the cache holds, if it is of this generation and speaks of what is in the store.</summary>
    private void TakeCache()
    {
        CacheContents found = _cache.Load();
        bool isNewer = found.State is { } state && state.Generation > Generation; // somebody has seen a collection that began after our listing
        if (found.State is { } sound && sound.Generation == Generation && TryMakePacks(sound) is { } packs)
        {
            _chunks.Adopt(packs, found.Runs, sound.Count);
            foreach (Guid id in sound.Objects)
            {
                _read.Add(ObjectNames.Index(id));
                _unseen.Add(ObjectNames.Index(id));
                _inCache.Add(id);
            }

            _incomplete.UnionWith(sound.Packs.Where(pack => !pack.IsComplete).Select(pack => pack.Id));
        }
        else if (found.Number != 0)
        {
            Array.ForEach(found.Runs, run => run.Dispose());
            if (isNewer)
            {
                _cache.StandBack();
            }
            else
            {
                _cache.TryDrop(always: false);
            }
        }
    }

    /// <summary>The packs of a cache.</summary>
    /// <returns>
    /// Null when one is gone that its records rely on, or a session's key does not open: index objects may know another place for what was in it.
    /// </returns>
    private IndexedPack[]? TryMakePacks(CacheState state)
    {
        SessionKey?[] sessions = [.. state.Sessions.Select(session => KeyOf(session.Epoch, session.Id, session.WrappedKey))];
        IndexedPack[] packs = new IndexedPack[state.Packs.Length];
        for (int i = 0; i < packs.Length; i++)
        {
            CachedPack cached = state.Packs[i];
            if (sessions[cached.Session] is not { } session)
            {
                return null;
            }

            packs[i] = new IndexedPack(cached.Id, cached.Length, session) { IsNamed = cached.IsNamed };
            Mark(packs[i]);
            if (cached.WasReliedOn && !packs[i].CanBeReliedOn)
            {
                return null;
            }
        }

        return packs;
    }

    /// <summary>A session's key, unwrapped once.</summary>
    private SessionKey? KeyOf(uint epoch, Guid sessionId, ReadOnlySpan<byte> wrapped)
    {
        if (_sessions.TryGetValue(sessionId, out SessionKey? known) && known.Epoch == epoch && wrapped.SequenceEqual(known.Wrapped))
        {
            return known;
        }

        SessionKey? key = _keys.TryUnwrap(epoch, sessionId, wrapped);
        if (key is not null)
        {
            _sessions[sessionId] = key;
        }

        return key;
    }

    private async Task ReadNewAsync(List<string> names, CancellationToken cancellationToken)
    {
        LastRead = 0;
        foreach (string name in names.Where(name => !_read.Contains(name)))
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

            _read.Add(name);
        }
    }

    /// <summary>Remembers where an object's entries are: in memory, at least in part.</summary>
    private void NoteRead(string name, IndexBody index, int spillsBefore)
    {
        if (_chunks.Spills != spillsBefore)
        {
            NoteSpill();
        }

        if (ObjectNames.TryParseId(name, out Guid id) && ObjectNames.Index(id) == name)
        {
            _inMemory.Add(id);
        }

        for (int i = 0; i < index.PackCount; i++)
        {
            _packsInMemory.Add(index.PackId(i));
            _incomplete.Remove(index.PackId(i));
        }
    }

    /// <summary>What had been read whole before a run was written is in the runs.</summary>
    private void NoteSpill()
    {
        _inCache.UnionWith(_inMemory);
        _inMemory.Clear();
        _packsInMemory.Clear();
    }

    private void Take(string name, ReadOnlyMemory<byte> body, int spillsBefore)
    {
        IndexBody index = new(body.Span);
        Take(_chunks, index, KeyOf(index.Epoch, index.SessionId, index.WrappedKey)!, own: false);
        NoteRead(name, index, spillsBefore);
    }

    /// <summary>Opens an index object.</summary>
    /// <returns>What is wrong with it; null when nothing is.</returns>
    private string? TryOpen(string name, byte[] bytes, out ReadOnlyMemory<byte> body)
    {
        _ = _keys.TryOpenEnvelopeInPlace(EnvelopeKind.Index, name, bytes, out body);
        return !IndexBody.TryRead(body.Span, out IndexBody index) ? $"the index object {name} is damaged"
            : KeyOf(index.Epoch, index.SessionId, index.WrappedKey) is null ? $"the session key in the index object {name} does not open"
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
            if ((_chunks.TryFindPack(id, out _) && !_incomplete.Contains(id)) || _unreadable.Contains(id))
            {
                continue;
            }

            PackContents? contents = await PackReader.TryReadAsync(_store, _keys, id, length, cancellationToken);
            if (contents is null)
            {
                _unreadable.Add(id);
                continue;
            }

            SessionKey session = contents.Session;
            IndexedPack pack = new(id, length, KeyOf(session.Epoch, session.SessionId, session.Wrapped) ?? session); // one key for all packs of a session
            Mark(pack);
            int number = _chunks.AddPack(pack, isNamed: false);
            _packsInMemory.Add(id);
            foreach (PackEntry entry in contents.Entries)
            {
                _chunks.Add(entry.Id, number, entry.Offset, entry.SealedLength, entry.Meta);
            }

            _incomplete.Remove(id);
        }
    }

    /// <summary>Renews the cache when there is something to gain.</summary>
    /// <param name="atOnce">Only with the runs that there are; the records in memory stay there.</param>
    private void Publish(bool atOnce)
    {
        if (!_cache.Publishes || _chunks.IsDamaged || _chunks.Runs.Count == 0)
        {
            return;
        }

        bool spilled = !atOnce && (_chunks.InMemory >= _limits.Remainder || _inMemory.Count >= WorthAState) && _chunks.TrySpill();
        if (_chunks.InMemory == 0)
        {
            NoteSpill();
        }

        if (spilled || _chunks.Runs.Any(run => run.TemporaryPath is not null))
        {
            _cache.TryPublish(StateNow(), _chunks.Runs);
        }
    }

    private CacheState StateNow()
    {
        IndexedPack[] packs = _chunks.Packs;
        List<CachedSession> sessions = [];
        Dictionary<SessionKey, int> places = [];
        CachedPack[] cached = new CachedPack[packs.Length];
        for (int i = 0; i < packs.Length; i++)
        {
            SessionKey session = packs[i].Session;
            if (!places.TryGetValue(session, out int place))
            {
                place = sessions.Count;
                places.Add(session, place);
                sessions.Add(new CachedSession(session.SessionId, session.Epoch, session.Wrapped));
            }

            bool isComplete = !_packsInMemory.Contains(packs[i].Id) && !_incomplete.Contains(packs[i].Id);
            cached[i] = new CachedPack(packs[i].Id, packs[i].Length, place, packs[i].CanBeReliedOn, packs[i].IsNamed, isComplete);
        }

        return new CacheState(
            Generation, _chunks.CountInRuns, [.. sessions], cached, [.. _chunks.Runs.Select(run => run.Shape)], [.. _inCache]);
    }
}
