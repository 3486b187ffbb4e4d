using Quench.Blocks;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Decides whether a capture may read only what changed. Whatever speaks against it means that everything is read, in this very run, and that the
/// report says why. It decides before the snapshot's promise shrinks to what will be read: from then on there would be no way back.
/// </summary>
/// <param name="request">The capture.</param>
/// <param name="plan">Everything in use.</param>
/// <param name="session">Where to.</param>
/// <param name="vault">Its id.</param>
/// <param name="takeChanges">Where the volume goes on changing: what was written since the question before. Null where it stands still.</param>
internal sealed class ScanDecision(
    CaptureRequest request, CapturePlan plan, BackupSession session, Guid vault, Func<CancellationToken, ValueTask<UsedBlocks>>? takeChanges = null)
{
    /// <summary>Asks the provider, finds the base, puts the map to the test.</summary>
    /// <exception cref="QuenchException">The snapshot broke (SNAP-104) or can't be read (IMG-110).</exception>
    public async Task<Scan> MakeAsync(CancellationToken cancellationToken)
    {
        if (request.FullScan)
        {
            return Full("a full scan was asked for");
        }

        if (request.Snapshot is not IChangeHistory history)
        {
            return Full($"the {request.Snapshot.Provider} provider keeps no record of changes");
        }

        VolumeChanges changes;
        try
        {
            changes = await history.GetChangesAsync(vault, cancellationToken);
        }
        catch (QuenchException failure)
        {
            return Full($"the record of changes can't be read: {failure.Message}");
        }

        return await JudgeAsync(changes, cancellationToken);
    }

    private async Task<Scan> JudgeAsync(VolumeChanges changes, CancellationToken cancellationToken)
    {
        if (changes is not { Point: { } point, Changed: not null, Doubtful: not null, UsedThen: not null })
        {
            return Full(changes.Doubt ?? "no earlier point in this vault is on record");
        }

        if (!session.TryFindBase(point, request.Name, out BaseImage? upon, out string? why))
        {
            return Full(why);
        }

        return Contradiction(changes, upon.Volume) is { } reason ? Full(reason) : await TestAsync(changes, upon, cancellationToken);
    }

    /// <summary>What the record of changes says of the point must agree with what the point says of itself.</summary>
    private string? Contradiction(VolumeChanges changes, VolumeRecord then)
    {
        if (then.Length != plan.Length)
        {
            return $"the volume has another size than at the last point: {plan.Length} bytes, not {then.Length}";
        }

        bool sameLength = changes.Changed!.VolumeLength == plan.Length && changes.Doubtful!.VolumeLength == plan.Length;
        return sameLength && changes.UsedThen!.VolumeLength == plan.Length && changes.UsedThen.TotalLength == then.UsedBytes
            ? null
            : "the record of changes does not fit the point that it names";
    }

    /// <summary>Reads a sample of what is called unchanged, and every map page on the way to what is not.</summary>
    private async Task<Scan> TestAsync(VolumeChanges changes, BaseImage upon, CancellationToken cancellationToken)
    {
        // While a volume is running its map may be in doubt, which means that everything is in use. What was not at the point and has not been written since can wait for the map of the instant.
        UsedBlocks? soFar = takeChanges is not null && request.Analysis.Doubt is not null ? changes.UsedThen!.With(changes.Changed!) : null;
        CapturePlan whole = soFar is null ? plan : new CapturePlan(soFar, plan.ChunkSize);
        ScanPlan scan = new(whole, soFar ?? request.Analysis.Used, changes);
        IReadOnlyList<long> sample = MapSample.Choose(scan.Unchanged, plan.ChunkSize, request.Chance);
        Scan changesOnly = new()
        {
            ToRead = scan.ToRead,
            UsedSoFar = soFar,
            Reason = changes.Doubt,
            Upon = (upon, scan),
            SampledChunks = sample.Count,
            SampledBytes = sample.Sum(chunk => plan.ExtentOf(chunk, 1).Length),
            ChangedBytes = changes.Changed!.TotalLength,
            DoubtfulBytes = changes.Doubtful!.TotalLength,
        };
        try
        {
            long? wrong = await FindDifferenceAsync(upon, whole, sample, cancellationToken);
            if (wrong is { } chunk)
            {
                string distrust = $"the chunk at offset 0x{chunk * plan.ChunkSize:x} is not as it was at point {upon.Point:N}, though no write to it is on record";
                return changesOnly with { ToRead = plan, UsedSoFar = null, Upon = null, Distrust = distrust, Reason = "the record of changes is wrong" };
            }

            await upon.CheckAsync(scan.Touched(), cancellationToken);
            return changesOnly;
        }
        catch (QuenchException failure) when (IsOfTheVault(failure))
        {
            return Full($"the map of point {upon.Point:N} can't be read: {failure.Message}");
        }
    }

    /// <summary>Looks for a chunk of the sample that differs, and that nobody has written since the provider was asked.</summary>
    private async Task<long?> FindDifferenceAsync(BaseImage upon, CapturePlan whole, IReadOnlyList<long> sample, CancellationToken cancellationToken)
    {
        MapSample test = new(request.Snapshot, whole, session, upon);
        long? wrong = await test.FindDifferenceAsync(sample, cancellationToken);
        while (wrong is { } chunk && takeChanges is not null)
        {
            UsedBlocks written = await takeChanges(cancellationToken);
            if (!written.Overlaps(plan.ExtentOf(chunk, 1)))
            {
                break;
            }

            sample = [.. sample.Where(one => !written.Overlaps(plan.ExtentOf(one, 1)))];
            wrong = await test.FindDifferenceAsync(sample, cancellationToken);
        }

        return wrong;
    }

    private static bool IsOfTheVault(QuenchException failure) => failure.Code.StartsWith("VAULT-", StringComparison.Ordinal);

    private Scan Full(string reason) => new() { ToRead = plan, Reason = reason };
}
