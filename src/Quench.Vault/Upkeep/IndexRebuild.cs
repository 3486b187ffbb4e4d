using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>
/// Makes the index whole from the packs' directories. (§8) What it puts is true whoever else is at work, because packs are never changed; a damaged index object
/// goes only after everything it can have named is named by sound ones; condemned packs are left to their collector.
/// </summary>
/// <remarks>
/// It puts index objects for packs of other sessions and registers none itself, so a collector that begins meanwhile does not know of it (§11.1). That can leave
/// an object that names a pack which is gone, and never a chunk that is wrongly relied on: so it looks for a new generation at the end, and takes such objects back.
/// </remarks>
internal sealed class IndexRebuild(IObjectStore store, VaultKeys keys, VaultIndex cached, IProgress<VerifyProgress>? progress)
{
    private const int EntriesPerObject = 64 * 1024;
    private const int Passes = 8;

    private readonly Dictionary<SessionKey, List<NamedPack>> _unwritten = []; // by the key that an index object of them carries
    private readonly Dictionary<string, NamedPack[]> _written = new(StringComparer.Ordinal);
    private readonly SessionKeys _sessions = new(keys);
    private readonly List<string> _unreadable = [];
    private long _unwrittenEntries;
    private int _packs;
    private int _namedPacks;
    private long _namedChunks;

    internal async Task<IndexRebuildReport> RunAsync(CancellationToken cancellationToken)
    {
        using VaultIndex index = new(store, keys); // without a cache: it believes nothing but the index objects
        await ReadAsync(index, cancellationToken);
        await NameAsync(index, cancellationToken);
        await WriteAsync(index.Generation, cancellationToken);
        await TakeBackAsync(index, cancellationToken);
        List<string> deleted = [];
        List<string> damaged = [.. index.Damaged.Keys.Order(StringComparer.Ordinal)];
        foreach (string name in _unreadable.Count == 0 ? damaged : [])
        {
            await store.DeleteAsync(name, cancellationToken);
            deleted.Add(name);
        }

        return new IndexRebuildReport(
            _packs, _namedPacks, _namedChunks, [.. _written.Keys.Order(StringComparer.Ordinal)], deleted, [.. damaged.Except(deleted)], _unreadable, cached.DropCache());
    }

    private static async Task ReadAsync(VaultIndex index, CancellationToken cancellationToken)
    {
        await index.RefreshAsync(cancellationToken);
        if (index.DamagedCollection is { } collection)
        {
            throw VaultErrors.DamagedCollection(collection);
        }
    }

    /// <summary>Reads every pack's directory, and collects what no sound index object names.</summary>
    private async Task NameAsync(VaultIndex index, CancellationToken cancellationToken)
    {
        ChunkIndex chunks = index.Chunks;
        List<KeyValuePair<Guid, long>> packs = [.. index.Listed.Where(pack => !index.IsCondemned(pack.Key)).OrderBy(pack => pack.Key)];
        foreach ((Guid id, long length) in packs)
        {
            PackContents? contents = await PackReader.TryReadAsync(store, keys, id, length, cancellationToken);
            _packs++;
            progress?.Report(new VerifyProgress("index", _packs, packs.Count, 0));
            if (contents is null)
            {
                _unreadable.Add(ObjectNames.Pack(id));
            }
            else if (!IsNamed(chunks, id, contents))
            {
                Collect(id, checked((int)length), contents);
            }

            if (_unwrittenEntries >= EntriesPerObject)
            {
                await WriteAsync(index.Generation, cancellationToken);
            }
        }
    }

    private static bool IsNamed(ChunkIndex chunks, Guid id, PackContents contents) =>
        chunks.TryFindPack(id, out IndexedPack? pack) && pack.IsNamed && contents.Entries.All(entry => chunks.TryFind(entry.Id, out _, out _));

    private void Collect(Guid id, int length, PackContents contents)
    {
        SessionKey session = _sessions.Shared(contents.Session); // one object of the key is enough for all packs of the session
        if (!_unwritten.TryGetValue(session, out List<NamedPack>? packs))
        {
            _unwritten.Add(session, packs = []);
        }

        packs.Add(new NamedPack(id, length, contents.Entries));
        _unwrittenEntries += contents.Entries.Length;
        _namedPacks++;
        _namedChunks += contents.Entries.Length;
    }

    private async Task WriteAsync(long generation, CancellationToken cancellationToken)
    {
        foreach ((SessionKey session, List<NamedPack> packs) in _unwritten)
        {
            await WriteAsync(session, packs, generation, cancellationToken);
        }

        _unwritten.Clear();
        _unwrittenEntries = 0;
    }

    private async Task WriteAsync(SessionKey session, List<NamedPack> packs, long generation, CancellationToken cancellationToken)
    {
        IndexBodyBuilder body = new(session, packs.Count, packs.Sum(pack => pack.Entries.Length), generation);
        packs.ForEach(pack => body.Add(pack.Id, pack.Length, pack.Entries));
        string name = ObjectNames.Index(BackupSession.NewId());
        await store.PutAsync(name, keys.SealEnvelope(EnvelopeKind.Index, name, body.Bytes), cancellationToken);
        _written.Add(name, [.. packs.Select(pack => pack with { Entries = [] })]);
    }

    /// <summary>Puts objects of ours that name packs which a collector has condemned or deleted meanwhile anew, without those, and deletes the old ones.</summary>
    private async Task TakeBackAsync(VaultIndex index, CancellationToken cancellationToken)
    {
        for (int pass = 0; pass < Passes; pass++)
        {
            long generation = index.Generation;
            await ReadAsync(index, cancellationToken);
            if (generation == index.Generation)
            {
                return;
            }

            foreach (string name in _written.Where(written => written.Value.Any(pack => !IsThere(index, pack))).Select(written => written.Key).ToArray())
            {
                await PutAnewAsync(index, name, cancellationToken);
            }
        }
    }

    private static bool IsThere(VaultIndex index, NamedPack pack) => index.Listed.ContainsKey(pack.Id) && !index.IsCondemned(pack.Id);

    private async Task PutAnewAsync(VaultIndex index, string name, CancellationToken cancellationToken)
    {
        foreach (NamedPack pack in _written[name].Where(pack => IsThere(index, pack)))
        {
            if (await PackReader.TryReadAsync(store, keys, pack.Id, pack.Length, cancellationToken) is { } contents)
            {
                Collect(pack.Id, pack.Length, contents);
            }
        }

        await WriteAsync(index.Generation, cancellationToken);
        await store.DeleteAsync(name, cancellationToken);
        _written.Remove(name);
    }

    private sealed record NamedPack(Guid Id, int Length, PackEntry[] Entries);
}
