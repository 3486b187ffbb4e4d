using System.Buffers;
using System.Collections.Concurrent;
using Quench.Vault.Collection;
using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Parity;
using Quench.Vault.Points;
using Quench.Vault.Roots;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>One verification. It looks at objects, then at the maps of the points, then at packs; each chunk is hashed once, whoever shares it.</summary>
internal sealed class Verifier(
    IObjectStore store, VaultKeys keys, RootJudge judge, VaultIndex index, PointCatalog catalog, ChunkReader chunks, ChunkOpenerPool openers, int chunkSize,
    IProgress<VerifyProgress>? progress)
{
    private readonly List<string> _withoutCopy = [];
    private readonly ConcurrentQueue<VaultDamage> _damage = [];
    private readonly ConcurrentDictionary<ChunkId, string> _bad = []; // chunks that can't be read, and why
    private readonly OrdinalSet _needed = new(); // data chunks and pages that the points reach, by their numbers in the index below
    private readonly HashSet<ChunkId> _unknown = []; // those that it does not know
    private readonly HashSet<Guid> _neededPacks = []; // where they are
    private readonly ConcurrentDictionary<Guid, long> _unopened = []; // packs whose directory does not open, with their lengths
    private readonly List<string> _foreign = [];
    private readonly HashSet<Guid> _withParity = []; // packs that have a parity object
    private ChunkIndex _known = index.Chunks; // as it was when the maps were walked: a refresh may put another one in its place
    private long _readBytes;
    private long _donePacks;
    private int _packs;

    /// <summary>The parity that the vault's packs should have.</summary>
    internal ParitySettings Settings { get; init; }

    /// <summary>The part of the packs to look into; null for all.</summary>
    internal VerifyPart? Part { get; init; }

    internal async Task<VerifyReport> RunAsync(RecoveryPoint? only, VerifyLevel level, CancellationToken cancellationToken)
    {
        PointListing listing = await catalog.ReadAsync(cancellationToken);
        await index.RefreshAsync(cancellationToken);
        await index.CheckCachedAsync(cancellationToken);
        HashSet<Guid> indexed = Settings.IsNone ? [] : [.. index.Chunks.Packs.Where(pack => pack.IsNamed).Select(pack => pack.Id)];
        await index.RecoverAsync(cancellationToken);
        _known = index.Chunks;
        List<RecoveryPoint> points = [.. only is null ? listing.Points : [only]];
        CheckPoints(points);
        if (only is null)
        {
            CheckHistory(listing);
            await CheckObjectsAsync(level, cancellationToken);
        }

        await CheckRootsAsync(only, [.. listing.Points.Select(point => point.Id)], level, cancellationToken);
        await CheckPackListAsync(only is null, cancellationToken);
        await CheckParityListAsync(only is null ? indexed : [], cancellationToken);
        if (level >= VerifyLevel.Structure)
        {
            await CheckMapsAsync(points, cancellationToken);
            await CheckPacksAsync(level, everything: only is null, cancellationToken);
            await CheckUnopenedAsync(points, cancellationToken);
            await NameBadChunksAsync(points, cancellationToken);
        }

        IReadOnlyList<VaultDamage> damage = await CollectedSince.WithoutForgottenAsync([.. _damage], catalog, cancellationToken);
        return new VerifyReport(level, points.Count, _packs, _needed.Count + _unknown.Count, _readBytes, damage)
        {
            Foreign = _foreign,
            WithoutCopy = _withoutCopy,
            PointIds = [.. points.Select(point => point.Id)],
            Part = Part,
        };
    }

    private void Report(string what, Guid? point = null) => _damage.Enqueue(new VaultDamage(what, point));

    private void CheckPoints(List<RecoveryPoint> points)
    {
        foreach (RecoveryPoint point in points.Where(point => point.Damage is not null))
        {
            Report(point.Damage!, point.Id);
        }
    }

    /// <summary>
    /// Looks at both objects of every root, or of those of one point. What hurts a point has been said of the point; here it is said what a copy stands in
    /// for, and what is wrong with a copy.
    /// </summary>
    private async Task CheckRootsAsync(RecoveryPoint? only, HashSet<Guid> points, VerifyLevel level, CancellationToken cancellationToken)
    {
        RootSurvey survey = new(store, judge);
        if (level < VerifyLevel.Structure)
        {
            return;
        }

        if (only is not null)
        {
            CheckRoot(await survey.LookAsync(ObjectNames.Commit(only.SessionId), cancellationToken), points);
            CheckRoot(await survey.LookAsync(ObjectNames.Point(only.Id), cancellationToken), points);
            return;
        }

        await foreach (RootState root in survey.RunAsync(cancellationToken))
        {
            CheckRoot(root, points);
        }
    }

    /// <summary>Whether a copy that is alone belongs to a point that was never committed, or is forgotten and collected: the next collection takes it. (§2.1)</summary>
    private static bool IsLeftover(string name, HashSet<Guid> points) =>
        name.StartsWith(ObjectNames.Points, StringComparison.Ordinal) && ObjectNames.TryParseId(name, out Guid point) && !points.Contains(point);

    private void CheckRoot(RootState root, HashSet<Guid> points)
    {
        if (root is { Primary: RootHalf.Missing, Copy: RootHalf.Sound } && IsLeftover(root.Name, points))
        {
            return;
        }

        bool told = root.Content is null && root.Name.StartsWith(ObjectNames.Commits, StringComparison.Ordinal);
        if (!told && root.Trouble() is { } trouble)
        {
            Report(trouble);
        }
        else if (root is { Primary: RootHalf.Sound, Copy: RootHalf.Missing })
        {
            _withoutCopy.Add(root.Name);
        }
    }

    private void CheckHistory(PointListing listing)
    {
        foreach (string problem in listing.Problems)
        {
            Report(problem);
        }

        foreach (Guid missing in listing.Missing())
        {
            Report($"the recovery point {missing:N} was committed, and is gone without having been forgotten", missing);
        }
    }

    /// <summary>Looks at everything that is no pack and no point.</summary>
    private async Task CheckObjectsAsync(VerifyLevel level, CancellationToken cancellationToken)
    {
        foreach (string damaged in index.Damaged.Values)
        {
            Report(damaged);
        }

        if (index.DamagedCollection is { } collection)
        {
            Report($"{collection} is damaged");
        }

        long done = 0;
        await foreach (StoredObject found in store.ListAsync("", cancellationToken))
        {
            progress?.Report(new VerifyProgress("list", ++done, done, 0));
            if (found.IsForeign || IsForeignCopy(found.Name) || !ObjectNames.All.Any(known => found.Name == known || (known.EndsWith('/') && found.Name.StartsWith(known, StringComparison.Ordinal))))
            {
                _foreign.Add(found.Name);
            }
            else if (level >= VerifyLevel.Structure)
            {
                await CheckObjectAsync(found.Name, cancellationToken);
            }
        }
    }

    private static bool IsForeignCopy(string name) =>
        name.StartsWith(ObjectNames.Copies, StringComparison.Ordinal) && RootCopies.TryRootOf(name) is null;

    private async Task CheckObjectAsync(string name, CancellationToken cancellationToken)
    {
        if (KindOf(name) is not { } kind)
        {
            return;
        }

        byte[]? bytes = await store.GetAsync(name, cancellationToken); // null: deleted since it was listed
        if (bytes is not null && keys.TryOpenEnvelope(kind, name, bytes) is null)
        {
            Report($"{name} is damaged");
        }
    }

    /// <summary>What an object must be by its name; null for what is looked at elsewhere.</summary>
    private static EnvelopeKind? KindOf(string name) => name[..(name.IndexOf('/', StringComparison.Ordinal) + 1)] switch
    {
        ObjectNames.Sessions => EnvelopeKind.Session,
        ObjectNames.Removals => EnvelopeKind.RemovedSlot,
        ObjectNames.Checks => EnvelopeKind.Check,
        ObjectNames.Collections when name.EndsWith("/condemned", StringComparison.Ordinal) => EnvelopeKind.Condemned,
        ObjectNames.Collections when name.EndsWith("/sweep", StringComparison.Ordinal) => EnvelopeKind.Sweep,
        ObjectNames.Collections when name.EndsWith("/done", StringComparison.Ordinal) => EnvelopeKind.Done,
        _ => null,
    };

    /// <summary>Every pack that the index names must be there; whether a point needs it is told by the maps.</summary>
    private async Task CheckPackListAsync(bool everything, CancellationToken cancellationToken)
    {
        List<IndexedPack> absent = [.. index.Chunks.Packs.Where(pack => everything && !pack.IsPresent)];
        HashSet<Guid> collected = absent.Count == 0 ? [] : await new CollectionLog(store, keys).AllSweptAsync(cancellationToken);
        foreach (IndexedPack pack in absent.Where(pack => !collected.Contains(pack.Id)))
        {
            Report(index.Listed.TryGetValue(pack.Id, out long length)
                ? $"{ObjectNames.Pack(pack.Id)} has {length} bytes and should have {pack.Length}"
                : $"{ObjectNames.Pack(pack.Id)} is missing");
        }
    }

    /// <summary>A pack that an index object names has had its parity before: where that is gone, the pack can't be healed any more.</summary>
    private async Task CheckParityListAsync(HashSet<Guid> indexed, CancellationToken cancellationToken)
    {
        await foreach (StoredObject found in store.ListAsync(ObjectNames.Parities, cancellationToken))
        {
            if (ObjectNames.TryParseId(found.Name, out Guid id) && found.Name == ObjectNames.Parity(id))
            {
                _withParity.Add(id);
            }
        }

        List<Guid> without = [.. indexed.Where(pack => index.Listed.ContainsKey(pack) && !_withParity.Contains(pack))];
        HashSet<Guid> collected = without.Count == 0 ? [] : await new CollectionLog(store, keys).AllSweptAsync(cancellationToken);
        foreach (Guid pack in without.Where(pack => !collected.Contains(pack)))
        {
            Report($"{ObjectNames.Parity(pack)} is missing, so its pack can't be healed when it rots");
        }
    }

    /// <summary>Holds the parity of a sound pack against it.</summary>
    private async Task CheckParityAsync(Guid id, ReadOnlyMemory<byte> pack, CancellationToken cancellationToken)
    {
        byte[]? parity = _withParity.Contains(id) ? await store.GetAsync(ObjectNames.Parity(id), cancellationToken) : null;
        if (parity is not null && !PackParity.IsSound(parity, keys.VaultId, id, pack.Span))
        {
            Report($"{ObjectNames.Parity(id)} is damaged, or not the parity of its pack");
        }
    }

    /// <summary>Reads every page of the points' maps once, and collects the chunks that they need.</summary>
    private async Task CheckMapsAsync(List<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        long done = 0;
        foreach (VolumeRecord volume in points.SelectMany(point => point.Volumes))
        {
            MapWalk walk = new(chunks, volume, chunkSize)
            {
                Enter = (id, _, _) => IsNew(id, out _), // what is below a page that has been seen has been seen
                Chunk = (id, _, length) => CheckChunk(id, length),
                Unreadable = (id, why, _) => _bad.TryAdd(id, why),
            };
            await walk.RunAsync(cancellationToken);
            progress?.Report(new VerifyProgress("structure", ++done, done, 0));
        }
    }

    private void CheckChunk(ChunkId id, int length)
    {
        if (!IsNew(id, out ChunkPlace? found))
        {
            return;
        }

        if (found is not { } place)
        {
            _bad.TryAdd(id, "no pack holds it");
        }
        else if (!place.Pack.IsPresent)
        {
            _bad.TryAdd(id, $"{ObjectNames.Pack(place.Pack.Id)} is missing or has another length");
        }
        else if (place.Meta.Type != ChunkMeta.DataType || place.Meta.PlainLength != length)
        {
            _bad.TryAdd(id, "the index gives it another type or length");
        }
    }

    /// <summary>Takes in what a point needs.</summary>
    /// <param name="id">A chunk or page.</param>
    /// <param name="found">Its place, if the index knows one.</param>
    /// <returns>False when it had been taken in before.</returns>
    private bool IsNew(ChunkId id, out ChunkPlace? found)
    {
        if (!_known.TryFind(id, out ChunkPlace place, out int ordinal))
        {
            found = null;
            return _unknown.Add(id);
        }

        found = place;
        _neededPacks.Add(place.Pack.Id);
        return _needed.Add(ordinal);
    }

    private bool IsNeeded(ChunkId id) => _known.TryFind(id, out _, out int ordinal) ? _needed.Contains(ordinal) : _unknown.Contains(id);

    private async Task CheckPacksAsync(VerifyLevel level, bool everything, CancellationToken cancellationToken)
    {
        List<KeyValuePair<Guid, long>> packs = [.. index.Listed
            .Where(pack => (everything || _neededPacks.Contains(pack.Key)) && (Part is not { } part || part.Holds(pack.Key)))];
        _packs = packs.Count;
        ParallelOptions lanes = new() { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(packs, lanes, async (pack, token) =>
        {
            await CheckPackAsync(pack.Key, pack.Value, level, everything, token);
            long done = Interlocked.Increment(ref _donePacks);
            progress?.Report(new VerifyProgress(level >= VerifyLevel.Data ? "data" : "structure", done, packs.Count, Interlocked.Read(ref _readBytes)));
        });
    }

    private async Task CheckPackAsync(Guid id, long length, VerifyLevel level, bool everything, CancellationToken cancellationToken)
    {
        PackContents? contents = await PackReader.TryReadAsync(store, keys, id, length, cancellationToken);
        if (contents is null && (await new CollectionLog(store, keys).AllSweptAsync(cancellationToken)).Contains(id))
        {
            return; // collected since the packs were listed
        }

        if (contents is null)
        {
            Report($"the directory of {ObjectNames.Pack(id)} does not open: the pack is damaged");
            _ = level >= VerifyLevel.Data && _unopened.TryAdd(id, length);
            return;
        }

        CheckAgreement(id, contents);
        if (level >= VerifyLevel.Data)
        {
            await CheckPackDataAsync(id, length, contents, everything, hasDirectory: true, cancellationToken);
        }
    }

    /// <summary>What the index says of a pack and what the pack says must be the same.</summary>
    private void CheckAgreement(Guid id, PackContents contents)
    {
        foreach (PackEntry entry in contents.Entries)
        {
            if (index.Chunks.TryFind(entry.Id, out ChunkPlace place, out _) && place.Pack.Id == id
                && (place.Offset != entry.Offset || place.SealedLength != entry.SealedLength || place.Meta != entry.Meta))
            {
                Report($"the index and {ObjectNames.Pack(id)} disagree about chunk {entry.Id}");
            }
        }
    }

    private async Task CheckPackDataAsync(
        Guid id, long length, PackContents contents, bool everything, bool hasDirectory, CancellationToken cancellationToken)
    {
        byte[] rented = ArrayPool<byte>.Shared.Rent(checked((int)length));
        try
        {
            Memory<byte> pack = rented.AsMemory(0, (int)length);
            if (!await store.TryReadAsync(ObjectNames.Pack(id), 0, pack, cancellationToken))
            {
                await ReportUnlessCollectedAsync(id, cancellationToken);
            }
            else if (CheckChunks(id, pack, contents, everything, cancellationToken) && hasDirectory)
            {
                await CheckParityAsync(id, pack, cancellationToken);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private async Task ReportUnlessCollectedAsync(Guid pack, CancellationToken cancellationToken)
    {
        if (!(await new CollectionLog(store, keys).AllSweptAsync(cancellationToken)).Contains(pack))
        {
            Report($"{ObjectNames.Pack(pack)} was there when the packs were listed and can't be read now");
        }
    }

    /// <summary>
    /// Looks into packs whose own directory is damaged by what the index knows of them: their chunks may still be whole. The maps are walked again for it,
    /// because the index finds chunks by their ids and not by their packs.
    /// </summary>
    private async Task CheckUnopenedAsync(List<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        if (_unopened.IsEmpty)
        {
            return;
        }

        OrdinalSet met = new();
        Dictionary<Guid, (SessionKey Session, List<PackEntry> Entries)> packs = [];
        bool Note(ChunkId id)
        {
            bool isNew = _known.TryFind(id, out ChunkPlace place, out int ordinal) && met.Add(ordinal);
            if (isNew && _unopened.ContainsKey(place.Pack.Id))
            {
                packs.TryAdd(place.Pack.Id, (place.Pack.Session, []));
                packs[place.Pack.Id].Entries.Add(new PackEntry(id, place.Offset, place.SealedLength, place.Meta));
            }

            return isNew;
        }

        foreach (VolumeRecord volume in points.SelectMany(point => point.Volumes))
        {
            MapWalk walk = new(chunks, volume, chunkSize)
            {
                Enter = (id, _, _) => Note(id),
                Chunk = (id, _, _) => Note(id),
                Unreadable = static (_, _, _) => { }, // that has been told
            };
            await walk.RunAsync(cancellationToken);
        }

        foreach ((Guid id, (SessionKey session, List<PackEntry> entries)) in packs)
        {
            await CheckPackDataAsync(id, _unopened[id], new PackContents(session, [.. entries]), everything: true, hasDirectory: false, cancellationToken);
        }
    }

    /// <returns>Whether all that was looked at opens.</returns>
    private bool CheckChunks(Guid id, ReadOnlyMemory<byte> pack, PackContents contents, bool everything, CancellationToken cancellationToken)
    {
        bool sound = true;
        ChunkOpener opener = openers.Rent();
        byte[] plaintext = ArrayPool<byte>.Shared.Rent(Math.Max(chunkSize, MapTree.PageSize));
        try
        {
            foreach (PackEntry entry in contents.Entries)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (everything || IsNeeded(entry.Id))
                {
                    sound &= CheckChunkData(id, pack.Span, contents, entry, opener, plaintext);
                }
            }

            return sound;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(plaintext);
            openers.Return(opener);
        }
    }

    private bool CheckChunkData(Guid id, ReadOnlySpan<byte> pack, PackContents contents, PackEntry entry, ChunkOpener opener, Span<byte> plaintext)
    {
        int length = entry.Meta.PlainLength;
        bool inside = length <= plaintext.Length && (long)entry.Offset + entry.SealedLength <= pack.Length;
        if (inside && opener.TryOpen(keys, contents.Session, entry.Id, entry.Meta, pack.Slice(entry.Offset, entry.SealedLength), plaintext[..length]))
        {
            Interlocked.Add(ref _readBytes, length);
            return true;
        }

        string why = $"{ObjectNames.Pack(id)} is damaged there, at offset {entry.Offset}";
        bool relied = IsNeeded(entry.Id) && index.Chunks.TryFind(entry.Id, out ChunkPlace place, out _) && place.Pack.Id == id;
        if (relied)
        {
            _bad.TryAdd(entry.Id, why);
        }
        else
        {
            Report($"chunk {entry.Id}, which no recovery point reads from there, is damaged: {why}");
        }

        return false;
    }

    /// <summary>Says of each bad chunk which points, volumes and bytes it hurts.</summary>
    private async Task NameBadChunksAsync(List<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        if (_bad.IsEmpty)
        {
            return;
        }

        DamagedVolumes damaged = new(chunks, chunkSize);
        (await damaged.FindAsync(points, _bad.GetValueOrDefault, cancellationToken)).ForEach(_damage.Enqueue);
    }
}
