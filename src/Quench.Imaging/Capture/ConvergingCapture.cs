using Quench.Blocks;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture.Exclusions;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Images volumes whose instant lies at the end, one or several that are to have the same one. Each pass stores what changed of each since the pass before; when of every one little is left, all are held,
/// the rest of all is copied into memory, and stored when they go on.
///
///     take changes ─▶ look at the map ─▶ left = changed ∪ used otherwise than before ─▶ hold now?
///          ▲                                                                              │ no, or not all of them: copy what is left
///          └──────────────────────────────────────────────────────────────────────────────┤
///                                                                                         ▼ yes
///                            freeze ─▶ take changes ─▶ look at the map ─▶ rest to memory ─▶ thaw ─▶ copy the rest ─▶ commit
/// </summary>
internal static class ConvergingCapture
{
    /// <summary>Images them as one point.</summary>
    /// <param name="requests">One for each volume; what the point says beside its volumes is in the first.</param>
    /// <param name="set">The volumes, in the same order.</param>
    /// <param name="vault">Where to.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="watch">Asked before the commit.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">
    /// SNAP-120 to SNAP-123: their writers could not be held; SNAP-183: one is not the same any more; SNAP-184: one is written faster than it can be read; IMG-110; and what the vault
    /// throws. No point has been committed then.
    /// </exception>
    public static async Task<CaptureResult> RunAsync(
        IReadOnlyList<CaptureRequest> requests, IConvergingSet set, BackupVault vault, ActivityMonitor activity, BreakWatch watch, CancellationToken cancellationToken)
    {
        if (requests.Any(request => request.Prove))
        {
            throw new ArgumentException("the instant of such a snapshot can't be read twice", nameof(requests));
        }

        await using BackupSession session = await vault.BeginAsync(requests[0].Host, cancellationToken);
        ConvergingVolume[] volumes = [.. requests.Zip(set.Members, (request, member) => new ConvergingVolume(request, member, vault, session, activity, new MapReader(() => member.Reader)))];
        await ConvergeAsync(volumes, set, cancellationToken);
        List<CapturedVolume> captured = [];
        foreach (ConvergingVolume volume in volumes)
        {
            captured.Add(await volume.FinishAsync(cancellationToken));
        }

        CaptureResult result = await VolumeCapture.CommitAsync(requests[0], session, captured, activity, watch, cancellationToken);
        List<CaptureWarning> warnings = [.. LeftOut.Warnings(requests[0].Exclusions, [.. requests.Zip(volumes, (request, volume) => (request.Name, volume.LeftOut!))])];
        foreach (ConvergingVolume volume in volumes)
        {
            warnings.AddRange(await volume.RememberAsync(result.Point, cancellationToken));
        }

        return result with { Warnings = warnings };
    }

    private static async Task ConvergeAsync(IReadOnlyList<ConvergingVolume> volumes, IConvergingSet set, CancellationToken cancellationToken)
    {
        while (true)
        {
            bool areReady = true;
            foreach (ConvergingVolume volume in volumes)
            {
                areReady &= await volume.LookAsync(cancellationToken);
            }

            if (!areReady)
            {
                foreach (ConvergingVolume volume in volumes)
                {
                    await volume.CopyAsync(cancellationToken);
                }
            }
            else if (await set.HoldAsync([.. volumes.Select(volume => (Func<UsedBlocks, ValueTask<UsedBlocks>>)volume.ChooseRestAsync)], cancellationToken))
            {
                return;
            }
        }
    }
}
