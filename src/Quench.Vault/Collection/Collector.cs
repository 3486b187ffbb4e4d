using Quench.Vault.Format;
using Quench.Vault.Stores;

namespace Quench.Vault.Collection;

/// <summary>
/// Deletes what no recovery point needs, while backups, restores, forgets and other collections go on: no lock is taken and no clock decides.
/// Killed or asleep at any step, it leaves a valid vault, and the next collector goes on from there. (§11.1)
/// </summary>
/// <remarks>
/// <code>
///   mark ─▶ repack ─▶ condemned ─▶ revoke what has not committed ─▶ mark again ─▶ sweep ─▶ index ─▶ packs ─▶ small objects ─▶ done
///           durable   one list      a session that could rely on     what came      one list
///           first     for all       a condemned pack is over now     in between     for all
/// </code>
/// </remarks>
internal sealed class Collector
{
    private const int MaxRounds = 3;
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private readonly CollectorTools _tools;
    private readonly CollectionLog _log;
    private readonly SessionRegister _sessions;
    private readonly Marker _marker;
    private readonly PrunePlanner _planner;
    private readonly IProgress<PruneProgress>? _progress;

    internal Collector(CollectorTools tools, IProgress<PruneProgress>? progress)
    {
        _tools = tools;
        _progress = progress;
        _log = new CollectionLog(tools.Store, tools.Keys);
        _sessions = new SessionRegister(tools.Store, tools.Keys, tools.Clock);
        _marker = new Marker(tools);
        _planner = new PrunePlanner(tools, _log, _sessions, _marker);
    }

    internal Task<PrunePlan> PlanAsync(PruneSettings settings, CancellationToken cancellationToken) =>
        _planner.MakeAsync(settings, _progress, cancellationToken);

    /// <summary>
    /// Executes a plan. What another collector left unfinished is finished first; if another is faster, its decision is carried out, and then a new
    /// plan of one's own is made.
    /// </summary>
    internal async Task<PruneReport> RunAsync(PrunePlan plan, CancellationToken cancellationToken)
    {
        PruneReport report = PruneReport.Nothing;
        PrunePlan? current = plan;
        for (int round = 1; round <= MaxRounds; round++)
        {
            GenerationState state = await _log.ReadAsync(cancellationToken);
            if (state.IsUnfinished)
            {
                report = report.And(await FinishAsync(state.Number, null, cancellationToken));
                current = null;
                continue;
            }

            if (current is null || current.Generation != state.Number || await WaitAsync(plan.Settings, cancellationToken))
            {
                current = await PlanAsync(plan.Settings, cancellationToken);
            }

            (PruneReport done, bool ours) = await CollectAsync(current, cancellationToken);
            report = report.And(done);
            if (ours)
            {
                break;
            }

            current = null;
        }

        return report;
    }

    /// <summary>Executes a plan that is up to date.</summary>
    /// <returns>What was done, and whether it was this plan and not another collector's.</returns>
    private async Task<(PruneReport Report, bool Ours)> CollectAsync(PrunePlan plan, CancellationToken cancellationToken)
    {
        Repacked repacked = await new Repacker(_tools).RunAsync(plan.Repack, plan.Live!, plan.Generation, _progress, cancellationToken);
        PruneReport report = PruneReport.Nothing with
        {
            RepackedPacks = repacked.Copied.Count,
            WrittenBytes = repacked.WrittenBytes,
            Warnings = [.. plan.Warnings, .. repacked.Warnings],
        };
        HashSet<Guid> candidates = [.. plan.Dead, .. repacked.Copied];
        if (candidates.Count == 0)
        {
            int tidied = await new IndexTidy(_tools, _log).RunAsync(cancellationToken);
            int small = await DeleteLeftoversAsync(plan.Live!.Forgotten, resolved: false, cancellationToken);
            return (report with { SmallObjects = tidied + small }, true);
        }

        long generation = plan.Generation + 1;
        HashSet<Guid>? condemned = await _log.CondemnAsync(generation, candidates, cancellationToken);
        PruneReport done = await FinishAsync(generation, plan.Live!.Forgotten, cancellationToken);
        return (report.And(done), condemned is not null && condemned.SetEquals(candidates));
    }

    /// <summary>Brings a generation whose condemned packs stand to its end, whoever began it.</summary>
    /// <param name="generation">Its number.</param>
    /// <param name="forgotten">Points that were forgotten before now; null to look.</param>
    /// <param name="cancellationToken">Gives up; the next collector goes on.</param>
    private async Task<PruneReport> FinishAsync(long generation, IReadOnlySet<Guid>? forgotten, CancellationToken cancellationToken)
    {
        GenerationState state = await _log.ReadAsync(cancellationToken);
        if (state.Number != generation || state.IsDone)
        {
            return PruneReport.Nothing; // it took a while to get here, and others have come further
        }

        forgotten ??= (await _tools.Catalog.ReadAsync(cancellationToken)).Forgotten;
        (PruneReport report, bool resolved) = state.IsSwept ? (PruneReport.Nothing, false) : await JudgeAsync(generation, cancellationToken);

        HashSet<Guid> swept = await _log.SweptAsync(generation, cancellationToken) ?? throw VaultErrors.BrokenCollection(ObjectNames.Sweep(generation));
        int tidied = await new IndexTidy(_tools, _log).RunAsync(cancellationToken);
        (int packs, long bytes) = await DeletePacksAsync(swept, cancellationToken);
        int small = await DeleteLeftoversAsync(forgotten, resolved, cancellationToken);
        await _log.EndAsync(generation, cancellationToken);
        return report with { DeletedPacks = packs, FreedBytes = bytes, SmallObjects = tidied + small };
    }

    /// <summary>Ends every session that might rely on a condemned pack, looks at the points that there are then, and decides what goes.</summary>
    /// <returns>What was done, and whether all sessions that had registered are over.</returns>
    private async Task<(PruneReport Report, bool Resolved)> JudgeAsync(long generation, CancellationToken cancellationToken)
    {
        HashSet<Guid>? condemned = await _log.CondemnedAsync(generation, cancellationToken);
        if (condemned is null)
        {
            // Nobody knows what was condemned. To delete nothing is always right, and ends the generation, which no session could begin in.
            await _log.SweepAsync(generation, [], cancellationToken);
            return (PruneReport.Nothing with { Warnings = [$"{ObjectNames.Condemned(generation)} is damaged, so nothing of it was deleted"] }, false);
        }

        IReadOnlyList<Guid> revoked = await _sessions.RevokeAsync(generation, cancellationToken);
        LiveSet live = await _marker.RunAsync(_progress, cancellationToken);
        HashSet<Guid> needed = await _marker.FindNeededAsync(condemned, live, cancellationToken);
        await _log.SweepAsync(generation, [.. condemned.Where(pack => !needed.Contains(pack))], cancellationToken);
        return (PruneReport.Nothing with { ReprievedPacks = needed.Count, RevokedSessions = revoked.Count }, true);
    }

    private async Task<(int Packs, long Bytes)> DeletePacksAsync(HashSet<Guid> swept, CancellationToken cancellationToken)
    {
        Dictionary<Guid, long> there = [];
        await foreach (StoredObject found in _tools.Store.ListAsync(ObjectNames.Packs, cancellationToken))
        {
            if (ObjectNames.TryParseId(found.Name, out Guid id) && found.Name == ObjectNames.Pack(id) && swept.Contains(id))
            {
                there[id] = found.Length;
            }
        }

        int done = 0;
        foreach (Guid pack in swept.Order())
        {
            await _tools.DeletePackAsync(pack, cancellationToken);
            _progress?.Report(new PruneProgress("sweep", ++done, swept.Count));
        }

        return (there.Count, there.Values.Sum());
    }

    private async Task<int> DeleteLeftoversAsync(IReadOnlySet<Guid> forgotten, bool resolved, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> names = await new Leftovers(_tools).FindAsync(forgotten, resolved, cancellationToken);
        foreach (string name in names)
        {
            await _tools.DeleteAsync(name, cancellationToken);
        }

        return names.Count;
    }

    /// <summary>Gives sessions that may be at work the time that the settings allow them.</summary>
    /// <returns>Whether it waited: the points may be others now.</returns>
    private async Task<bool> WaitAsync(PruneSettings settings, CancellationToken cancellationToken)
    {
        long begun = _tools.Clock.GetTimestamp();
        bool waited = false;
        while (_tools.Clock.GetElapsedTime(begun) < settings.Wait)
        {
            IReadOnlyList<PendingSession> pending = await _sessions.ReadPendingAsync(cancellationToken);
            int running = pending.Count(session => _planner.MayRun(session, settings));
            if (running == 0)
            {
                break;
            }

            _progress?.Report(new PruneProgress("wait", 0, running));
            await Task.Delay(s_look, _tools.Clock, cancellationToken);
            waited = true;
        }

        return waited;
    }
}
