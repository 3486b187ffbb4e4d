using Quench.Vault.Format;
using Quench.Vault.Index;
using Quench.Vault.Packs;
using Quench.Vault.Stores;

namespace Quench.Vault.Collection;

/// <summary>Looks at a vault and says what a garbage collection would do. It writes nothing.</summary>
internal sealed class PrunePlanner(CollectorTools tools, CollectionLog log, SessionRegister sessions, Marker marker)
{
    /// <summary>Makes a plan.</summary>
    /// <exception cref="Blocks.QuenchException">What is needed is in doubt (VAULT-071), or the clock is (VAULT-072).</exception>
    internal async Task<PrunePlan> MakeAsync(PruneSettings settings, IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        if (!settings.TrustClock)
        {
            await DemandSoundTimesAsync(cancellationToken);
        }

        GenerationState state = await log.ReadAsync(cancellationToken);
        IReadOnlyList<PendingSession> before = await sessions.ReadPendingAsync(cancellationToken);
        LiveSet live = await marker.RunAsync(progress, cancellationToken);
        IReadOnlyList<PendingSession> pending = await sessions.ReadPendingAsync(cancellationToken);
        HashSet<Guid> spared = [.. before.Concat(pending).Where(session => MayRun(session, settings)).Select(session => session.Id)];
        Choice choice = await ChooseAsync(live, spared, settings.RepackBelow, cancellationToken);
        int small = (await new Leftovers(tools).FindAsync(live.Forgotten, resolved: false, cancellationToken)).Count;
        return new PrunePlan
        {
            Points = live.Points,
            Packs = choice.Listed.Count,
            PackBytes = choice.Listed.Values.Sum(),
            DeadPacks = choice.Dead.Count,
            DeadBytes = choice.Dead.Sum(pack => choice.Listed[pack]),
            RepackedPacks = choice.Repack.Count,
            RepackedBytes = choice.Repack.Sum(pack => choice.Listed[pack]),
            KeptBytes = choice.Repack.Sum(live.BytesIn),
            SmallObjects = small,
            Unfinished = state.IsUnfinished ? state.Number : 0,
            Pending = pending,
            Warnings = choice.Warnings,
            Foreign = await FindForeignAsync(cancellationToken),
            Settings = settings,
            Dead = choice.Dead,
            Repack = choice.Repack,
            Live = live,
            Generation = state.Number,
        };
    }

    /// <summary>Whether a session without a commit key may still be at work.</summary>
    internal bool MayRun(PendingSession session, PruneSettings settings) => tools.Clock.GetUtcNow() - session.Started < settings.AbandonedAfter;

    private async Task DemandSoundTimesAsync(CancellationToken cancellationToken)
    {
        DateTimeOffset now = tools.Clock.GetUtcNow();
        IReadOnlyList<RecoveryPoint> points = (await tools.Catalog.ReadAsync(cancellationToken)).Points;
        List<RecoveryPoint> future = [.. points.Where(point => point.Damage is null && RetentionPolicy.IsFuture(point.Instant, now))];
        if (future.Count > 0)
        {
            throw VaultErrors.UntrustedClock(VaultErrors.FutureWords(future, now));
        }

        if (await new VaultClock(tools).NewestAsync(points, cancellationToken) is { } newest && RetentionPolicy.IsFuture(newest.When, now))
        {
            throw VaultErrors.UntrustedClock(VaultErrors.ClockWords(newest, now));
        }
    }

    private async Task<Choice> ChooseAsync(LiveSet live, HashSet<Guid> spared, double repackBelow, CancellationToken cancellationToken)
    {
        Choice choice = new([], [], [], tools.Index.Listed);
        if (live.Missing.Count > 0)
        {
            choice.Warnings.Add($"{live.Missing.Count} chunks that recovery points need are in no pack; quench verify names them");
        }

        Dictionary<Guid, IndexedPack> known = tools.Index.Chunks.Packs.ToDictionary(pack => pack.Id);
        foreach ((Guid id, long length) in choice.Listed.OrderBy(pack => pack.Key))
        {
            if (!known.TryGetValue(id, out IndexedPack? pack))
            {
                choice.Warnings.Add($"{ObjectNames.Pack(id)} stays: no index object names it and its directory does not open, so what it holds is not known");
            }
            else if (spared.Contains(pack.Session.SessionId))
            {
                continue; // of a session that may be at work: it is about to need what no point needs yet
            }
            else if (live.BytesIn(id) == 0)
            {
                choice.Dead.Add(id);
            }
            else if (live.BytesIn(id) < repackBelow * length && await IsMostlyUselessAsync(id, length, live, repackBelow, cancellationToken))
            {
                choice.Repack.Add(id);
            }
        }

        HashSet<Guid> needed = await marker.FindNeededAsync(choice.Dead, live, cancellationToken);
        choice.Dead.RemoveAll(needed.Contains);
        return choice;
    }

    /// <summary>Holds what is needed of a pack against all its chunks; the zeros that bring it to its length don't count.</summary>
    private async Task<bool> IsMostlyUselessAsync(Guid id, long length, LiveSet live, double repackBelow, CancellationToken cancellationToken) =>
        await PackReader.TryReadAsync(tools.Store, tools.Keys, id, length, cancellationToken) is { } contents
        && live.BytesIn(id) < repackBelow * contents.Entries.Sum(entry => (long)entry.SealedLength);

    private async Task<IReadOnlyList<string>> FindForeignAsync(CancellationToken cancellationToken)
    {
        List<string> foreign = [];
        await foreach (StoredObject found in tools.Store.ListAsync("", cancellationToken))
        {
            if (found.IsForeign || !ObjectNames.All.Any(known => found.Name == known || (known.EndsWith('/') && found.Name.StartsWith(known, StringComparison.Ordinal))))
            {
                foreign.Add(found.Name);
            }
        }

        return foreign;
    }

    private sealed record Choice(List<Guid> Dead, List<Guid> Repack, List<string> Warnings, IReadOnlyDictionary<Guid, long> Listed);
}
