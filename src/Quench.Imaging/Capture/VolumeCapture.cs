using System.Threading.Channels;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture.Exclusions;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Images snapshots into a vault: plan, then read → hash and seal → store as stages joined by bounded channels, then (if asked)
/// proof, then commit. Memory is bounded by <see cref="CaptureSettings.SegmentsInMemory"/> whatever the volume's size.
/// </summary>
public static class VolumeCapture
{
    private const int ChannelDepth = 16;

    /// <summary>Images a snapshot.</summary>
    /// <param name="request">What to image.</param>
    /// <param name="vault">Where to; stays open.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="clock">The time of a proof comes from it.</param>
    /// <param name="cancellationToken">Gives up. The vault stays valid and has no new point, unless the commit had already begun.</param>
    /// <returns>The committed point: durable.</returns>
    /// <exception cref="QuenchException">
    /// SNAP-104 (exit code 20): the snapshot broke, told within a second whatever the capture was busy with; IMG-110: the volume can't be read; IMG-122 (exit code 22): the proof failed;
    /// and what the vault throws. No point has been committed then. A session that a garbage collection revoked (VAULT-031) is begun again once,
    /// if there is a proof to make: then nothing of the snapshot has been let go of, and all of it can be read again.
    /// </exception>
    public static Task<CaptureResult> RunAsync(
        CaptureRequest request, BackupVault vault, ActivityMonitor activity, TimeProvider clock, CancellationToken cancellationToken) =>
        RunAsync([request], vault, activity, clock, cancellationToken);

    /// <summary>Images several snapshots of one instant, as one point.</summary>
    /// <param name="requests">One for each volume, each with another name; what the point says beside its volumes is in the first.</param>
    /// <param name="vault">Where to; stays open.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="clock">The time of a proof comes from it.</param>
    /// <param name="cancellationToken">Gives up. The vault stays valid and has no new point, unless the commit had already begun.</param>
    /// <returns>The committed point: durable.</returns>
    /// <exception cref="QuenchException">As for one; any of the snapshots that breaks fails all.</exception>
    public static Task<CaptureResult> RunAsync(
        IReadOnlyList<CaptureRequest> requests, BackupVault vault, ActivityMonitor activity, TimeProvider clock, CancellationToken cancellationToken) =>
        BreakWatch.RunAsync([.. requests.Select(request => request.Snapshot)], clock, (watch, token) => RunAsync(requests, vault, activity, watch, clock, token), cancellationToken);

    /// <summary>Images several volumes that are to have one instant, as one point.</summary>
    /// <param name="requests">One for each volume, each with another name; what the point says beside its volumes is in the first.</param>
    /// <param name="set">The volumes, in the same order; stays open.</param>
    /// <param name="vault">Where to; stays open.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="clock">Measures patience.</param>
    /// <param name="cancellationToken">Gives up. The vault stays valid and has no new point, unless the commit had already begun.</param>
    /// <returns>The committed point: durable.</returns>
    /// <exception cref="QuenchException">SNAP-120 to SNAP-123, SNAP-183, SNAP-184, IMG-110, and what the vault throws. No point has been committed then.</exception>
    public static Task<CaptureResult> RunAsync(
        IReadOnlyList<CaptureRequest> requests, IConvergingSet set, BackupVault vault, ActivityMonitor activity, TimeProvider clock, CancellationToken cancellationToken) =>
        BreakWatch.RunAsync([.. requests.Select(request => request.Snapshot)], clock, (watch, token) => ConvergingCapture.RunAsync(requests, set, vault, activity, watch, token), cancellationToken);

    private static async Task<CaptureResult> RunAsync(
        IReadOnlyList<CaptureRequest> requests, BackupVault vault, ActivityMonitor activity, BreakWatch watch, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (requests is [{ Snapshot: IConvergingSnapshot converging }])
        {
            return await ConvergingCapture.RunAsync(requests, new SetOfOne(converging), vault, activity, watch, cancellationToken);
        }

        requests = await LeaveOutAsync(requests, cancellationToken);
        try
        {
            return await CaptureAsync(requests, vault, activity, watch, clock, cancellationToken);
        }
        catch (QuenchException failure) when (failure.Code == "VAULT-031" && requests.All(request => request.Prove))
        {
            return await CaptureAsync(requests, vault, activity, watch, clock, cancellationToken);
        }
    }

    /// <summary>Files that are left out are looked for in the instant, while all of it is still protected.</summary>
    private static async Task<IReadOnlyList<CaptureRequest>> LeaveOutAsync(IReadOnlyList<CaptureRequest> requests, CancellationToken cancellationToken)
    {
        List<CaptureRequest> looked = [];
        foreach (CaptureRequest request in requests)
        {
            LeftOut left = await LeftOut.FindAsync(request.Snapshot.Reader, request.Analysis, request.Exclusions, long.MaxValue, cancellationToken);
            looked.Add(request with { Analysis = left.Analysis, LeftOut = left });
        }

        return looked;
    }

    /// <summary>All promises are narrowed before the first volume is copied: the others go on being written meanwhile.</summary>
    private static async Task<CaptureResult> CaptureAsync(
        IReadOnlyList<CaptureRequest> requests, BackupVault vault, ActivityMonitor activity, BreakWatch watch, TimeProvider clock, CancellationToken cancellationToken)
    {
        await using BackupSession session = await vault.BeginAsync(requests[0].Host, cancellationToken);
        HeldVolume[] volumes = [.. requests.Select(request => new HeldVolume(request, vault, session, activity, clock))];
        foreach (HeldVolume volume in volumes)
        {
            await volume.NarrowAsync(cancellationToken);
        }

        foreach (HeldVolume volume in volumes)
        {
            await volume.CopyAsync(cancellationToken);
            await volume.ProveAsync(cancellationToken);
        }

        CaptureResult result = await CommitAsync(requests[0], session, [.. volumes.Select(volume => volume.Captured)], activity, watch, cancellationToken);
        List<CaptureWarning> warnings = [.. LeftOut.Warnings(requests[0].Exclusions, [.. requests.Select(request => (request.Name, request.LeftOut!))])];
        foreach (HeldVolume volume in volumes)
        {
            warnings.AddRange(await volume.RememberAsync(result.Point, cancellationToken));
        }

        return result with { Warnings = warnings };
    }

    internal static async Task RunStagesAsync(
        CaptureRequest request, CapturePlan plan, BackupSession session, ImageWriter image, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        CaptureSettings settings = request.Settings with { SegmentBytes = Math.Max(request.Settings.SegmentBytes, plan.ChunkSize) };
        using SegmentPool segments = new(settings.SegmentsInMemory, settings.SegmentBytes);
        Channel<Segment> read = Channel.CreateBounded<Segment>(ChannelDepth);
        Channel<SealedChunk> sealedChunks = Channel.CreateBounded<SealedChunk>(ChannelDepth);
        ReadStage reading = new(request.Snapshot, plan, segments, settings, release: !request.Prove, activity);
        SealStage sealing = new(plan, session, image, settings);
        StoreStage storing = new(session);
        try
        {
            await TaskGroup.RunAsync(
                [
                    token => reading.RunAsync(read.Writer, token),
                    token => sealing.RunAsync(read.Reader, sealedChunks.Writer, token),
                    token => storing.RunAsync(sealedChunks.Reader, token),
                ],
                cancellationToken);
        }
        finally
        {
            while (sealedChunks.Reader.TryRead(out SealedChunk? left))
            {
                left.Dispose();
            }
        }
    }

    internal static IEnumerable<CaptureWarning> Warnings(CaptureRequest request, Scan scan) =>
        scan.Distrust is { } why ? [CaptureWarning.MapDistrusted(request.Snapshot.Volume, why)] : [];

    /// <summary>
    /// Lets the provider count changes from this point on. The point is in the vault whatever comes of it. After a map that was found wrong
    /// too: what this point holds was read, so a count that begins with it owes nothing to the one that was wrong, and the next sample tests it.
    /// </summary>
    internal static async Task<IEnumerable<CaptureWarning>> RememberAsync(
        CaptureRequest request, Guid vault, RecoveryPoint point, CancellationToken cancellationToken)
    {
        try
        {
            if (request.Snapshot is IChangeHistory history)
            {
                await history.RememberAsync(vault, point.Id, request.Analysis.Used, cancellationToken);
            }

            return [];
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            return [CaptureWarning.NotRemembered(request.Snapshot.Volume, point.ShortId, failure)];
        }
    }

    internal static VolumeRecord Describe(CaptureRequest request, CapturePlan plan)
    {
        ISnapshot snapshot = request.Snapshot;
        FileSystemFacts? found = request.Analysis.FileSystem;
        return new VolumeRecord
        {
            Name = request.Name,
            Source = snapshot.Volume,
            Length = plan.Length,
            SectorSize = snapshot.Reader.Geometry.SectorSize,
            Root = ChunkId.Hole,
            FileSystem = found?.Type ?? "",
            Label = found?.Label ?? "",
            Uuid = found?.Uuid ?? "",
            Provider = snapshot.Provider,
            Grade = GradeText.Of(snapshot.Grade),
            Instant = snapshot.Instant,
            FreezeMilliseconds = snapshot.FreezeTime?.TotalMilliseconds,
            UsedBytes = plan.UsedBytes,
            MapDoubt = request.Analysis.Doubt,
            Disk = request.Analysis.Disk is { } disk ? DiskText.Describe(disk) : null,
            Exclusions = request.LeftOut?.Record,
        };
    }

    internal static async Task<CaptureResult> CommitAsync(
        CaptureRequest request, BackupSession session, IReadOnlyList<CapturedVolume> captured, ActivityMonitor activity, BreakWatch watch, CancellationToken cancellationToken)
    {
        activity.Begin(JobPhase.Finishing, 0);
        List<CapturedVolume> volumes = [];
        foreach (CapturedVolume volume in captured)
        {
            DiffAreaStatus status = await volume.Snapshot.GetStatusAsync(cancellationToken);
            SnapshotTrouble.ThrowIfBroken(volume.Snapshot, status, cause: null);
            volumes.Add(volume with { Record = volume.Record with { DiffAreaPeakBytes = status.PeakBytes } });
        }

        (IReadOnlyList<VolumeRecord> records, CoordinationRecord? coordination) = await CoordinationSeal.MakeAsync(request, volumes, cancellationToken);
        PointDraft draft = new()
        {
            Host = request.Host,
            Instant = volumes[0].Snapshot.Instant,
            Volumes = records,
            Tags = request.Tags,
            Notes = request.Notes,
            Coordination = coordination,
        };
        watch.SealOrThrow();
        RecoveryPoint point = await session.CommitAsync(draft, cancellationToken);
        return new CaptureResult(point, session.Totals);
    }

    /// <summary>A volume that is held by itself.</summary>
    private sealed class SetOfOne(IConvergingSnapshot only) : IConvergingSet
    {
        public IReadOnlyList<IConvergingSnapshot> Members => [only];

        public ValueTask<bool> HoldAsync(IReadOnlyList<Func<UsedBlocks, ValueTask<UsedBlocks>>> choices, CancellationToken cancellationToken) => only.HoldAsync(choices[0], cancellationToken);

        public ValueTask DisposeAsync() => only.DisposeAsync();
    }
}
