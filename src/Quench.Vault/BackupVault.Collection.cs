using Quench.Blocks;
using Quench.Vault.Collection;
using Quench.Vault.Format;
using Quench.Vault.Points;
using JsonSerializer = System.Text.Json.JsonSerializer;

namespace Quench.Vault;

/// <content>Forgetting points, and collecting what nothing needs any more. (docs/retention.md)</content>
public sealed partial class BackupVault
{
    /// <summary>Says which points a request would forget, which stay and why, and what speaks against it. Writes nothing.</summary>
    /// <param name="request">Points by name, or a policy.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">A point that is named is not there (VAULT-023), or not to be told from another (VAULT-021).</exception>
    /// <exception cref="ArgumentException">Both or neither are given, or a policy that keeps nothing.</exception>
    public async Task<ForgetPlan> PlanForgetAsync(ForgetRequest request, CancellationToken cancellationToken)
    {
        if ((request.Policy is null) != (request.Points.Count > 0) || request.Policy is { KeepsNothing: true })
        {
            throw new ArgumentException("either points are named, or a policy says what to keep", nameof(request));
        }

        IReadOnlyList<RecoveryPoint> points = await ListPointsAsync(cancellationToken);
        (DateTimeOffset When, string What)? newest =
            request.Policy is null ? null : await new VaultClock(CollectorTools()).NewestAsync(points, cancellationToken);
        return new ForgetPlanner(points, _clock.GetUtcNow(), newest).Make(request);
    }

    /// <summary>
    /// Forgets the points of a plan: each gets a tombstone and does not exist any more. Their room is given back by <see cref="PruneAsync"/>. Being
    /// interrupted leaves some forgotten and others not; doing it again is harmless.
    /// </summary>
    /// <param name="plan">The plan.</param>
    /// <param name="consent">The kinds of concern that the user knows of and does not share.</param>
    /// <param name="reason">Why, for the tombstones.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>When it completes the tombstones are durable.</returns>
    /// <exception cref="QuenchException">A concern of the plan is not among those consented to (VAULT-074); nothing was forgotten.</exception>
    public async Task ForgetAsync(
        ForgetPlan plan, IReadOnlyCollection<ForgetConcernKind> consent, string reason, CancellationToken cancellationToken)
    {
        _opening.CheckWritable(_store.Location);
        if (plan.Concerns.FirstOrDefault(concern => !consent.Contains(concern.Kind)) is { } concern)
        {
            throw VaultErrors.UnwiseForget(concern.What);
        }

        foreach (RecoveryPoint point in plan.Going)
        {
            await PutTombstoneAsync(point.Id, reason, cancellationToken);
        }
    }

    /// <summary>Says what a garbage collection would delete and write anew. Writes nothing.</summary>
    /// <param name="settings">How it is to be done.</param>
    /// <param name="progress">Told now and then; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">
    /// Something that says what is needed can't be read (VAULT-071); the clock went back or points are dated in the future (VAULT-072); the vault has
    /// features that a collector must know and this program does not (VAULT-004).
    /// </exception>
    public Task<PrunePlan> PlanPruneAsync(PruneSettings settings, IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(settings.RepackBelow);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(settings.RepackBelow, 1);
        _opening.CheckCollectable(_store.Location);
        return new Collector(CollectorTools(), progress).PlanAsync(settings, cancellationToken);
    }

    /// <summary>
    /// Collects garbage. Backups, restores, forgets and other collections may go on meanwhile, in any number of processes; a backup that has not committed
    /// when packs are condemned must begin again. Being killed at any moment leaves a valid vault, and the next collection goes on.
    /// </summary>
    /// <param name="plan">From <see cref="PlanPruneAsync"/>. If the vault has changed since, a new one of the same settings takes its place.</param>
    /// <param name="progress">Told now and then; null when nobody wants to know.</param>
    /// <param name="cancellationToken">Gives up; the next collection goes on.</param>
    /// <returns>What was done, durably.</returns>
    /// <exception cref="QuenchException">
    /// As for the plan; or an unfinished collection's own list is damaged (VAULT-073). Nothing that a recovery point needs was deleted.
    /// </exception>
    public Task<PruneReport> PruneAsync(PrunePlan plan, IProgress<PruneProgress>? progress, CancellationToken cancellationToken)
    {
        _opening.CheckCollectable(_store.Location);
        return new Collector(CollectorTools(), progress).RunAsync(plan, cancellationToken);
    }

    private CollectorTools CollectorTools() => new(_store, _keys, _clock, _index, _catalog, _chunks, _openers, Info.ChunkSize, _opening.PackTarget)
    {
        RegisterAsync = RegisterAsync,
        Parity = _opening.Parity,
    };

    private async Task PutTombstoneAsync(Guid point, string reason, CancellationToken cancellationToken)
    {
        string name = ObjectNames.Forget(point);
        byte[] body = JsonSerializer.SerializeToUtf8Bytes(new ForgetRecord(point, _clock.GetUtcNow(), reason), VaultJson.Default.ForgetRecord);
        byte[] tombstone = _keys.SealEnvelope(EnvelopeKind.Forget, name, body);
        if (await _store.TryPutAsync(name, tombstone, cancellationToken))
        {
            return;
        }

        byte[]? present = await _store.GetAsync(name, cancellationToken);
        if (present is not null && _keys.TryOpenEnvelope(EnvelopeKind.Forget, name, present) is not null)
        {
            await _store.PutAsync(name, present, cancellationToken); // somebody else's: now durable for certain
            return;
        }

        // A damaged tombstone says nothing; a whole one takes its place.
        await CollectorTools().DeleteAsync(name, cancellationToken);
        await _store.PutAsync(name, tombstone, cancellationToken);
    }
}
