using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Points;
using Quench.Vault.Stores;

namespace Quench.Vault.Upkeep;

/// <summary>
/// One repair: every pack is looked at and healed from its parity; then what is still missing is looked for elsewhere, round after round, because
/// a healed page of a map shows what else is missing. Takes no lock and needs none. (§6.6)
/// </summary>
internal sealed class VaultRepair(
    IHealingStore store, VaultKeys keys, VaultIndex index, PointCatalog catalog, ChunkReader chunks, ChunkOpenerPool openers, int chunkSize,
    ParitySettings settings, IProgress<VerifyProgress>? progress)
{
    private const int MaxRounds = 16; // more than a map has levels
    private readonly Dictionary<Guid, HealedPack> _healed = [];
    private readonly Dictionary<Guid, Mended> _left = []; // packs that are not sound
    private Dictionary<Guid, long> _listed = [];
    private int _parityMade;

    internal async Task<RepairReport> RunAsync(IReadOnlyList<GoodCopy> copies, CancellationToken cancellationToken)
    {
        PackBook book = new(store, keys);
        LostChunks lost = new(chunks, keys, chunkSize, copies);
        using PackMender mender = new(store, keys, openers, settings, book, lost);
        _listed = await ListAsync(cancellationToken);
        await book.ReadAsync(new HashSet<Guid>(), new HashSet<ChunkId>(), new Dictionary<Guid, long>(), cancellationToken);
        foreach (Guid gone in book.Named.Where(pack => !_listed.ContainsKey(pack)))
        {
            _left[gone] = new Mended();
        }

        await LookAtAllAsync(mender, cancellationToken);
        IReadOnlyList<RecoveryPoint> points = (await catalog.ReadAsync(cancellationToken)).Points;
        for (int round = 0; _left.Count > 0 && round < MaxRounds; round++)
        {
            await PrepareAsync(book, lost, points, cancellationToken);
            if (!await MendLeftAsync(mender, cancellationToken))
            {
                break;
            }
        }

        return new RepairReport(_listed.Count, [.. _healed.Values], _parityMade, await WhatIsLeftAsync(lost, points, cancellationToken));
    }

    private async Task<Dictionary<Guid, long>> ListAsync(CancellationToken cancellationToken)
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

    private async Task LookAtAllAsync(PackMender mender, CancellationToken cancellationToken)
    {
        long done = 0;
        long bytes = 0;
        foreach ((Guid id, long length) in _listed)
        {
            Take(id, await mender.RunAsync(id, length, onlyToTheByte: true, cancellationToken));
            bytes += length;
            progress?.Report(new VerifyProgress("repair", ++done, _listed.Count, bytes));
        }
    }

    /// <summary>Finds out what the index says of the packs that are left, and where in the volumes what they miss belongs.</summary>
    private async Task PrepareAsync(PackBook book, LostChunks lost, IReadOnlyList<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        HashSet<Guid> packs = [.. _left.Keys];
        await book.ReadAsync(packs, new HashSet<ChunkId>(), new Dictionary<Guid, long>(), cancellationToken);
        HashSet<ChunkId> missing = [.. _left.Values.SelectMany(left => left.Missing).Select(entry => entry.Id)];
        foreach (Guid unread in packs.Where(pack => _left[pack].Missing.Count == 0))
        {
            missing.UnionWith(book.Find(unread)?.Entries.Select(entry => entry.Id) ?? []);
        }

        await book.ReadAsync(packs, missing, _listed, cancellationToken);
        await index.RefreshAsync(cancellationToken);
        await lost.LocateAsync(points, missing, cancellationToken);
    }

    /// <returns>Whether anything became better.</returns>
    private async Task<bool> MendLeftAsync(PackMender mender, CancellationToken cancellationToken)
    {
        bool better = false;
        foreach (Guid id in _left.Keys.ToArray())
        {
            Mended mended = await mender.RunAsync(
                id, _listed.TryGetValue(id, out long length) ? length : null, onlyToTheByte: false, cancellationToken);
            better |= mended.Healed is not null;
            Take(id, mended);
        }

        return better;
    }

    private void Take(Guid id, Mended mended)
    {
        _parityMade += mended.ParityMade ? 1 : 0;
        if (mended.Healed is { } healed)
        {
            _listed[id] = mended.Length;
            _healed[id] = _healed.TryGetValue(id, out HealedPack? before)
                ? healed with { Chunks = before.Chunks + healed.Chunks, From = [.. before.From.Union(healed.From)] }
                : healed;
        }

        if (mended.IsSound)
        {
            _left.Remove(id);
        }
        else
        {
            _left[id] = mended;
        }
    }

    /// <summary>Names what could not be healed: whom it hurts, or that it hurts nobody.</summary>
    private async Task<List<VaultDamage>> WhatIsLeftAsync(LostChunks lost, IReadOnlyList<RecoveryPoint> points, CancellationToken cancellationToken)
    {
        List<VaultDamage> damage = [];
        Dictionary<ChunkId, string> why = [];
        foreach ((Guid id, Mended left) in _left)
        {
            string name = ObjectNames.Pack(id);
            bool isGone = !_listed.ContainsKey(id);
            foreach (PackEntry entry in left.Missing.Where(entry => lost.IsNeeded(entry.Id)))
            {
                why[entry.Id] = isGone ? $"{name} is missing" : $"{name} is damaged there, at offset {entry.Offset}";
            }

            if (left.Missing.Count == 0 && !isGone)
            {
                damage.Add(new VaultDamage($"{name} is damaged so far that nothing says what was in it"));
            }
            else if (!isGone && left.Missing.Count(entry => !lost.IsNeeded(entry.Id)) is > 0 and int unneeded)
            {
                damage.Add(new VaultDamage($"{unneeded} chunks of {name} can't be read; no recovery point is seen to need them"));
            }
        }

        if (_left.Count > 0)
        {
            await index.RefreshAsync(cancellationToken);
            damage.AddRange(await new DamagedVolumes(chunks, chunkSize).FindAsync(points, why.GetValueOrDefault, cancellationToken));
        }

        return damage;
    }
}
