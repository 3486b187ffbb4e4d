using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;

namespace Quench.Vault.Index;

/// <content>What it keeps in a local cache, and takes from there.</content>
internal sealed partial class VaultIndex
{
    private const int WorthAState = 64; // index objects that the cache does not know yet

    /// <summary>What went wrong with the cache, one sentence each. Nothing else suffers from it.</summary>
    internal IReadOnlyList<string> Warnings => _cache.Warnings;

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

    /// <summary>Reads the index objects that only the cache has read so far, to see whether they are still sound.</summary>
    internal async Task CheckCachedAsync(CancellationToken cancellationToken)
    {
        await _refreshing.WaitAsync(cancellationToken);
        try
        {
            foreach (string name in _ledger.Unseen)
            {
                byte[]? bytes = await _store.GetAsync(name, cancellationToken);
                if (bytes is not null && TryOpen(name, bytes, out _) is { } wrong)
                {
                    _damaged[name] = wrong;
                }
            }

            _ledger.NoteSeen();
        }
        finally
        {
            _refreshing.Release();
        }
    }

    /// <summary>Deletes the cache, whoever has made it. The index itself stays as it is.</summary>
    /// <returns>False when another process was at it.</returns>
    internal bool DropCache() => _cache.TryDrop(always: true);

    /// <summary>Begins with what the cache holds, if it is of this generation and speaks of what is in the store.</summary>
    private void TakeCache()
    {
        CacheContents found = _cache.Load();
        bool isNewer = found.State is { } state && state.Generation > Generation; // somebody has seen a collection that began after our listing
        if (found.State is { } sound && sound.Generation == Generation && TryMakePacks(sound) is { } packs)
        {
            _chunks.Adopt(packs, found.Runs, sound.Count);
            _ledger.Adopt(sound);
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
        SessionKey?[] sessions = [.. state.Sessions.Select(session => _sessions.TryUnwrap(session.Epoch, session.Id, session.WrappedKey))];
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

    /// <summary>Renews the cache when there is something to gain.</summary>
    /// <param name="atOnce">Only with the runs that there are; the records in memory stay there.</param>
    private void Publish(bool atOnce)
    {
        if (!_cache.Publishes || _chunks.IsDamaged || _chunks.Runs.Count == 0)
        {
            return;
        }

        bool spilled = !atOnce && (_chunks.InMemory >= _limits.Remainder || _ledger.ObjectsInMemory >= WorthAState) && _chunks.TrySpill();
        if (_chunks.InMemory == 0)
        {
            _ledger.NoteSpill();
        }

        if (spilled || _chunks.Runs.Any(run => run.TemporaryPath is not null))
        {
            _cache.TryPublish(_ledger.StateOf(_chunks, Generation), _chunks.Runs);
        }
    }
}
