using System.Threading.Channels;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Images one snapshot into a vault: plan, then read → hash and seal → store as stages joined by bounded channels, then (if asked)
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
        BreakWatch.RunAsync(request.Snapshot, clock, (watch, token) => RunAsync(request, vault, activity, watch, clock, token), cancellationToken);

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
        BreakWatch.RunAsync(requests[0].Snapshot, clock, (watch, token) => ConvergingCapture.RunAsync(requests, set, vault, activity, watch, token), cancellationToken);

    private static async Task<CaptureResult> RunAsync(
        CaptureRequest request, BackupVault vault, ActivityMonitor activity, BreakWatch watch, TimeProvider clock, CancellationToken cancellationToken)
    {
        if (request.Snapshot is IConvergingSnapshot converging)
        {
            return await ConvergingCapture.RunAsync([request], new SetOfOne(converging), vault, activity, watch, cancellationToken);
        }

        try
        {
            return await CaptureAsync(request, vault, activity, watch, clock, cancellationToken);
        }
        catch (QuenchException failure) when (failure.Code == "VAULT-031" && request.Prove)
        {
            return await CaptureAsync(request, vault, activity, watch, clock, cancellationToken);
        }
    }

    private static async Task<CaptureResult> CaptureAsync(
        CaptureRequest request, BackupVault vault, ActivityMonitor activity, BreakWatch watch, TimeProvider clock, CancellationToken cancellationToken)
    {
        ISnapshot snapshot = request.Snapshot;
        await snapshot.KeepOnlyAsync(request.Analysis.Used, cancellationToken);
        CapturePlan plan = new(request.Analysis.Used, vault.Info.ChunkSize);
        await using BackupSession session = await vault.BeginAsync(request.Host, cancellationToken);
        Scan scan = await new ScanDecision(request, plan, session, vault.Info.Id).MakeAsync(cancellationToken);
        if (scan.Upon is not null && !request.Prove)
        {
            // What will not be read need not be protected any more: the diff area keeps old blocks of changed chunks only. A proof reads everything.
            await snapshot.KeepOnlyAsync(scan.ToRead.UsedInPlan(), cancellationToken);
        }

        ImageWriter image = scan.NewImage(session);
        activity.Begin(JobPhase.Imaging, scan.ToRead.ReadBytes);
        await RunStagesAsync(request, scan.ToRead, session, image, activity, cancellationToken);
        VolumeRecord volume = Describe(request, plan) with { Root = await FinishAsync(image, scan, cancellationToken) };
        volume = volume with { Scan = scan.Describe(image, session.Totals.NewPages) };
        await session.SettleAsync(cancellationToken); // the proof reads what is stored, and the record says how much that was
        if (request.Prove)
        {
            volume = volume with { Proof = await ProveAsync(request, plan, session, vault.OpenImage(volume), activity, clock, cancellationToken) };
        }

        volume = volume with { NewBytes = session.Totals.NewChunkBytes, StoredBytes = session.Totals.StoredBytes };
        CaptureResult result = await CommitAsync(request, session, [new CapturedVolume(snapshot, volume)], activity, watch, cancellationToken);
        return result with { Warnings = [.. Warnings(request, scan), .. await RememberAsync(request, vault.Info.Id, result.Point, cancellationToken)] };
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

    /// <summary>Ends the image. The base's pages were read once already, so one that fails now has only just become unreadable.</summary>
    private static async Task<ChunkId> FinishAsync(ImageWriter image, Scan scan, CancellationToken cancellationToken)
    {
        try
        {
            return await image.FinishAsync(cancellationToken);
        }
        catch (QuenchException failure) when (scan.Upon is { } upon && failure.Code == "VAULT-041")
        {
            throw new QuenchException(
                "IMG-130",
                $"point {upon.Base.Point:N}, which the image was to be built upon, can't be read any more: {failure.Message}",
                "run the backup again with --full-scan, and verify the vault",
                failure)
            {
                Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
                CanRetry = true,
            };
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
        };
    }

    private static async Task<ProofRecord> ProveAsync(
        CaptureRequest request, CapturePlan plan, BackupSession session, IBlockReader image, ActivityMonitor activity, TimeProvider clock,
        CancellationToken cancellationToken)
    {
        await using IBlockReader stored = image;
        try
        {
            byte[] hash = await new ImageProof(request.Snapshot.Reader, stored, plan, activity).RunAsync(cancellationToken);
            return new ProofRecord("sha256", Convert.ToHexStringLower(hash), clock.GetUtcNow());
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            SnapshotTrouble.ThrowIfBroken(request.Snapshot, await request.Snapshot.GetStatusAsync(cancellationToken), failure);
            if (failure is QuenchException { Code: "VAULT-041" })
            {
                await session.ThrowIfRevokedAsync(cancellationToken); // what can't be read was collected, and the next session stores it again
            }

            throw;
        }
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
