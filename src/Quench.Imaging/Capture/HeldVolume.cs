using Quench.Blocks;
using Quench.Imaging.Activity;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>One volume that is held at its instant, on its way into a vault: narrow the promise, copy, prove, and count changes from the point on. Several of one instant use one session in turn.</summary>
internal sealed class HeldVolume
{
    private readonly CaptureRequest _request;
    private readonly BackupVault _vault;
    private readonly BackupSession _session;
    private readonly ActivityMonitor _activity;
    private readonly TimeProvider _clock;
    private readonly CapturePlan _plan;
    private Scan? _scan;          // how it is read; null before NarrowAsync
    private VolumeRecord? _volume; // null before CopyAsync

    /// <summary>Begins with it.</summary>
    /// <param name="request">What to image.</param>
    /// <param name="vault">Where to.</param>
    /// <param name="session">Through which; one volume at a time uses it.</param>
    /// <param name="activity">Told how far it is.</param>
    /// <param name="clock">The time of a proof comes from it.</param>
    public HeldVolume(CaptureRequest request, BackupVault vault, BackupSession session, ActivityMonitor activity, TimeProvider clock)
    {
        (_request, _vault, _session, _activity, _clock) = (request, vault, session, activity, clock);
        _plan = new CapturePlan(request.Analysis.Used, vault.Info.ChunkSize);
    }

    /// <summary>The image, once it is copied.</summary>
    public CapturedVolume Captured => new(_request.Snapshot, _volume!);

    /// <summary>Decides what has to be read, and lets go of the rest: the diff area keeps old blocks of no more than that. A proof reads everything.</summary>
    public async Task NarrowAsync(CancellationToken cancellationToken)
    {
        await _request.Snapshot.KeepOnlyAsync(_request.Analysis.Used, cancellationToken);
        _scan = await new ScanDecision(_request, _plan, _session, _vault.Info.Id).MakeAsync(cancellationToken);
        if (_scan.Upon is not null && !_request.Prove)
        {
            await _request.Snapshot.KeepOnlyAsync(_scan.ToRead.UsedInPlan(), cancellationToken);
        }
    }

    /// <summary>Reads and stores it.</summary>
    public async Task CopyAsync(CancellationToken cancellationToken)
    {
        Scan scan = _scan!;
        SessionTotals before = _session.Totals;
        ImageWriter image = scan.NewImage(_session);
        _activity.Begin(JobPhase.Imaging, scan.ToRead.ReadBytes);
        await VolumeCapture.RunStagesAsync(_request, scan.ToRead, _session, image, _activity, cancellationToken);
        VolumeRecord volume = VolumeCapture.Describe(_request, _plan) with { Root = await FinishAsync(image, scan, cancellationToken) };
        volume = volume with { Scan = scan.Describe(image, _session.Totals.NewPages - before.NewPages) };
        await _session.SettleAsync(cancellationToken); // the proof reads what is stored, and the record says how much that was
        SessionTotals after = _session.Totals;
        _volume = volume with { NewBytes = after.NewChunkBytes - before.NewChunkBytes, StoredBytes = after.StoredBytes - before.StoredBytes };
    }

    /// <summary>Reads the snapshot again and holds it against what the vault gives back, if that was asked for.</summary>
    public async Task ProveAsync(CancellationToken cancellationToken)
    {
        if (!_request.Prove)
        {
            return;
        }

        await using IBlockReader stored = _vault.OpenImage(_volume!);
        try
        {
            byte[] hash = await new ImageProof(_request.Snapshot.Reader, stored, _plan, _activity).RunAsync(cancellationToken);
            _volume = _volume! with { Proof = new ProofRecord("sha256", Convert.ToHexStringLower(hash), _clock.GetUtcNow()) };
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            SnapshotTrouble.ThrowIfBroken(_request.Snapshot, await _request.Snapshot.GetStatusAsync(cancellationToken), failure);
            if (failure is QuenchException { Code: "VAULT-041" })
            {
                await _session.ThrowIfRevokedAsync(cancellationToken); // what can't be read was collected, and the next session stores it again
            }

            throw;
        }
    }

    /// <summary>Lets the provider count changes from the point on.</summary>
    public async Task<IReadOnlyList<CaptureWarning>> RememberAsync(RecoveryPoint point, CancellationToken cancellationToken) =>
        [.. VolumeCapture.Warnings(_request, _scan!), .. await VolumeCapture.RememberAsync(_request, _vault.Info.Id, point, cancellationToken)];

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
}
