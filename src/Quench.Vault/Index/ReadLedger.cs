using Quench.Vault.Format;
using Quench.Vault.Index.Runs;
using Quench.Vault.Keys;

namespace Quench.Vault.Index;

/// <summary>
/// What has been read into one <see cref="ChunkIndex"/>, and what of it is in its runs: so that a refresh reads only what is new, and a cache says no more of
/// itself than is true. Not thread-safe.
/// </summary>
internal sealed class ReadLedger
{
    private readonly HashSet<string> _read = new(StringComparer.Ordinal); // index objects that have been read, whole or not, or are in the cache
    private readonly HashSet<string> _unseen = new(StringComparer.Ordinal); // ⊆ _read: those that only the cache has read
    private readonly HashSet<Guid> _inRuns = []; // index objects all of whose entries are in the runs
    private readonly HashSet<Guid> _inMemory = []; // those read since the last run was written
    private readonly HashSet<Guid> _packsInMemory = []; // whose entries are not all in the runs
    private readonly HashSet<Guid> _incomplete = []; // of the packs that the cache named, those whose entries it has not all got

    /// <summary>Index objects that have been read since the last run was written.</summary>
    internal int ObjectsInMemory => _inMemory.Count;

    /// <summary>Index objects that only the cache has read.</summary>
    internal IReadOnlyCollection<string> Unseen => _unseen;

    /// <summary>Whether an index object need not be read.</summary>
    internal bool HasRead(string name) => _read.Contains(name);

    /// <summary>Whether some entries of a pack that the cache names are not in its runs.</summary>
    internal bool IsIncomplete(Guid pack) => _incomplete.Contains(pack);

    /// <summary>An index object has been read, sound or not.</summary>
    internal void NoteRead(string name) => _read.Add(name);

    /// <summary>The objects that only the cache had read have been looked at.</summary>
    internal void NoteSeen() => _unseen.Clear();

    /// <summary>Remembers where an object's entries are: in memory, at least in part.</summary>
    /// <param name="name">The object.</param>
    /// <param name="index">Its body.</param>
    /// <param name="hasSpilled">Whether a run was written while its entries were added.</param>
    internal void NoteEntries(string name, IndexBody index, bool hasSpilled)
    {
        if (hasSpilled)
        {
            NoteSpill();
        }

        if (ObjectNames.TryParseId(name, out Guid id) && ObjectNames.Index(id) == name)
        {
            _inMemory.Add(id);
        }

        for (int i = 0; i < index.PackCount; i++)
        {
            NotePack(index.PackId(i));
        }
    }

    /// <summary>All entries of a pack are known, in memory at least in part.</summary>
    internal void NotePack(Guid pack)
    {
        _packsInMemory.Add(pack);
        _incomplete.Remove(pack);
    }

    /// <summary>What had been read whole before a run was written is in the runs.</summary>
    internal void NoteSpill()
    {
        _inRuns.UnionWith(_inMemory);
        _inMemory.Clear();
        _packsInMemory.Clear();
    }

    /// <summary>Begins with what a cache says that it holds.</summary>
    internal void Adopt(CacheState state)
    {
        foreach (Guid id in state.Objects)
        {
            _read.Add(ObjectNames.Index(id));
            _unseen.Add(ObjectNames.Index(id));
            _inRuns.Add(id);
        }

        _incomplete.UnionWith(state.Packs.Where(pack => !pack.IsComplete).Select(pack => pack.Id));
    }

    /// <summary>What a cache of the index's runs may say of itself.</summary>
    internal CacheState StateOf(ChunkIndex chunks, long generation)
    {
        IndexedPack[] packs = chunks.Packs;
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

        return new CacheState(generation, chunks.CountInRuns, [.. sessions], cached, [.. chunks.Runs.Select(run => run.Shape)], [.. _inRuns]);
    }
}
