using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Images a volume whose instant lies at the end. Each pass stores what changed since the one before, as an image upon that one's image, by the same stages as any
/// capture; the last one is read while writers are held and stored when they go on. The first pass reads everything in use, or, where the provider knows what changed since an
/// earlier point, that much upon that point's image.
///
///     take changes ─▶ look at the map ─▶ left = changed ∪ used otherwise than before ─▶ hold now?
///          ▲                                                                              │ no: copy what is left
///          └──────────────────────────────────────────────────────────────────────────────┤
///                                                                                         ▼ yes
///                            freeze ─▶ take changes ─▶ look at the map ─▶ rest to memory ─▶ thaw ─▶ copy the rest ─▶ commit
/// </summary>
/// <remarks>
/// What is taken is read after that, never before: a write during the reading is in the next pass. A chunk that is no longer used becomes a hole; one that is used otherwise than
/// when it was copied is copied again, because its stored form has zeros where nothing was used.
/// </remarks>
internal sealed class ConvergingCapture
{
    private const int BlockBytes = 4096; // what is copied while writers are held; no larger than the smallest chunk

    private readonly CaptureRequest _request;
    private readonly IConvergingSnapshot _snapshot;
    private readonly BackupVault _vault;
    private readonly BackupSession _session;
    private readonly ActivityMonitor _activity;
    private readonly MapReader _map;
    private readonly UsedBlocks _left;   // blocks that changed, or are used otherwise, since they were copied
    private VolumeAnalysis? _analysis;   // the last look; what of it differs from the copied image is in _left
    private BlockBitmap _copied;         // chunks that the image so far holds
    private BaseImage? _image;           // the image so far; null before the first pass, unless it begins upon a point
    private Scan? _scan;                 // how the first pass reads; null before that is decided
    private int _passes;
    private long _readBytes;
    private long _firstBytes;            // of them in the first pass

    private ConvergingCapture(
        CaptureRequest request, IConvergingSnapshot snapshot, BackupVault vault, BackupSession session, ActivityMonitor activity, MapReader map)
    {
        (_request, _snapshot, _vault, _session, _activity, _map) = (request, snapshot, vault, session, activity, map);
        long length = snapshot.Reader.Geometry.Length;
        _left = new UsedBlocks(length, BlockBytes);
        _copied = new BlockBitmap((length + vault.Info.ChunkSize - 1) / vault.Info.ChunkSize);
    }

    /// <summary>Images it.</summary>
    /// <exception cref="QuenchException">
    /// SNAP-120 to SNAP-122: its writers could not be held; SNAP-183: it is not the same any more; SNAP-184: it is written faster than it can be read; IMG-110; and what the vault
    /// throws. No point has been committed then.
    /// </exception>
    public static async Task<CaptureResult> RunAsync(
        CaptureRequest request, IConvergingSnapshot snapshot, BackupVault vault, ActivityMonitor activity, BreakWatch watch, CancellationToken cancellationToken)
    {
        if (request.Prove)
        {
            throw new ArgumentException("the instant of such a snapshot can't be read twice", nameof(request));
        }

        await using BackupSession session = await vault.BeginAsync(request.Host, cancellationToken);
        MapReader map = new(() => snapshot.Reader);
        return await new ConvergingCapture(request, snapshot, vault, session, activity, map).RunAsync(watch, cancellationToken);
    }

    private async Task<CaptureResult> RunAsync(BreakWatch watch, CancellationToken cancellationToken)
    {
        CapturePlan plan;
        UsedBlocks? held = null;
        do
        {
            UsedBlocks changed = await _snapshot.TakeChangesAsync(cancellationToken);
            plan = await LookAsync(changed, VolumeCondition.Running, cancellationToken);
            plan = _scan is null ? await BeginAsync(plan, cancellationToken) : plan;
            if (!_snapshot.ShouldHold(LeftInUse().TotalLength))
            {
                await CopyAsync(_request, plan, cancellationToken);
                continue;
            }

            UsedBlocks? rest = null;
            bool isHeld = await _snapshot.HoldAsync(
                async changedSince =>
                {
                    plan = await LookAsync(changedSince, VolumeCondition.Frozen, CancellationToken.None);
                    return rest = LeftInUse();
                },
                cancellationToken);
            held = isHeld ? rest : null;
        }
        while (held is null);

        await CopyHeldAsync(plan, held, cancellationToken);
        CaptureRequest request = _request with { Analysis = _analysis! };
        VolumeRecord volume = VolumeCapture.Describe(request, plan) with { Root = _image!.Volume.Root };
        volume = volume with { Scan = DescribeScan(_scan!) };
        CaptureResult result = await VolumeCapture.CommitAsync(_request, _session, volume, _activity, watch, cancellationToken);
        return result with
        {
            Warnings = [.. VolumeCapture.Warnings(request, _scan!), .. await VolumeCapture.RememberAsync(request, _vault.Info.Id, result.Point, cancellationToken)],
        };
    }

    /// <summary>
    /// Decides whether to begin upon an earlier point. Everything has been told as changed by now; what is written from here on is told again, so only what changed before needs to be known.
    /// </summary>
    private async Task<CapturePlan> BeginAsync(CapturePlan plan, CancellationToken cancellationToken)
    {
        _left.Bits.ClearRange(0, _left.Bits.Length);
        async ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken token)
        {
            UsedBlocks changed = await _snapshot.TakeChangesAsync(token);
            _map.Forget(changed);
            Leave(changed.Runs());
            return changed;
        }

        _scan = await new ScanDecision(_request with { Analysis = _analysis! }, plan, _session, _vault.Info.Id, TakeChangesAsync).MakeAsync(cancellationToken);
        if (_scan.Upon is { } upon)
        {
            (_image, _copied) = (upon.Base, upon.Plan.Then);
            _analysis = _scan.UsedSoFar is { } used ? _analysis! with { Used = used } : _analysis;
            plan = new CapturePlan(_analysis!.Used, plan.ChunkSize);
            Leave(_scan.ToRead.Chunks.SetRuns().Select(run => plan.ExtentOf(run.First, run.Count)));
        }
        else
        {
            Leave([new Extent(0, plan.Length)]);
        }

        return plan;
    }

    /// <summary>Reads the map of used blocks, and counts as left what changed and what is used otherwise.</summary>
    private async Task<CapturePlan> LookAsync(UsedBlocks changed, VolumeCondition condition, CancellationToken cancellationToken)
    {
        _map.Forget(changed);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(_map, condition, cancellationToken);

        // A map that is written while it is read may contradict itself. The look before is as good as another while passes go on; the one that counts is taken while writers are held.
        VolumeAnalysis look = found.Doubt is not null && condition == VolumeCondition.Running && _analysis is not null
            ? _analysis with { Used = _analysis.Used.With(changed) }
            : found;
        Leave(changed.Runs());
        if (_analysis is not null)
        {
            Leave(ScanPlan.Differences(_analysis.Used, look.Used));
        }

        _analysis = look;
        return new CapturePlan(look.Used, _vault.Info.ChunkSize);
    }

    /// <summary>The blocks that are left and in use.</summary>
    private UsedBlocks LeftInUse()
    {
        UsedBlocks inUse = new(_left.VolumeLength, BlockBytes);
        foreach (Extent run in _analysis!.Used.Runs())
        {
            long end = ((run.End - 1) / BlockBytes) + 1;
            for (long block = _left.Bits.NextSet(run.Offset / BlockBytes, end); block < end;)
            {
                long clear = _left.Bits.NextClear(block, end);
                inUse.Bits.SetRange(block, clear - block);
                block = _left.Bits.NextSet(clear, end);
            }
        }

        return inUse;
    }

    /// <summary>The chunks of a plan that anything left lies in, in use or not: where something was freed, zeros are stored in its place.</summary>
    private CapturePlan ChunksLeft(CapturePlan plan)
    {
        BlockBitmap chunks = new(plan.Chunks.Length);
        foreach (Extent run in _left.Runs())
        {
            long end = ((run.End - 1) / plan.ChunkSize) + 1;
            for (long chunk = plan.Chunks.NextSet(run.Offset / plan.ChunkSize, end); chunk < end;)
            {
                long clear = plan.Chunks.NextClear(chunk, end);
                chunks.SetRange(chunk, clear - chunk);
                chunk = plan.Chunks.NextSet(clear, end);
            }
        }

        return plan.Only(chunks);
    }

    /// <summary>Stores the last pass: what was copied while writers were held, over the image so far.</summary>
    private async Task CopyHeldAsync(CapturePlan plan, UsedBlocks held, CancellationToken cancellationToken)
    {
        await using HeldOverImage last = new(_snapshot, _vault.OpenImage(_image!.Volume), held);
        await CopyAsync(_request with { Snapshot = last }, plan, cancellationToken);
    }

    /// <summary>Stores what is left, as an image upon the image so far.</summary>
    private async Task CopyAsync(CaptureRequest request, CapturePlan plan, CancellationToken cancellationToken)
    {
        CapturePlan rest = ChunksLeft(plan);
        ImageWriter image = _image is null ? _session.NewImage(plan.Length, rest.Chunks) : _session.NewImage(_image, rest.Chunks, NoLongerIn(plan));
        _activity.Begin(JobPhase.Imaging, rest.ReadBytes);
        await VolumeCapture.RunStagesAsync(request, rest, _session, image, _activity, cancellationToken);
        VolumeRecord record = VolumeCapture.Describe(request, plan) with { Root = await image.FinishAsync(cancellationToken) };
        await _session.SettleAsync(cancellationToken); // the next pass reads what is stored; and nothing is on its way to a vault on this volume while it is frozen
        _image = _session.BaseOf(record);
        _copied = plan.Chunks;
        _left.Bits.ClearRange(0, _left.Bits.Length);
        (_passes, _readBytes) = (_passes + 1, _readBytes + rest.ReadBytes);
        _firstBytes = _passes == 1 ? rest.ReadBytes : _firstBytes;
    }

    /// <summary>The chunks that the image so far holds, and of which nothing is in use any more.</summary>
    private BlockBitmap NoLongerIn(CapturePlan plan)
    {
        BlockBitmap holes = new(plan.Chunks.Length);
        foreach ((long first, long count) in _copied.SetRuns())
        {
            holes.SetRange(first, count);
        }

        foreach ((long first, long count) in plan.Chunks.SetRuns())
        {
            holes.ClearRange(first, count);
        }

        return holes;
    }

    private ScanRecord DescribeScan(Scan scan)
    {
        bool isUpon = scan.Upon is not null && _snapshot.Doubts.Count == 0;
        return new ScanRecord
        {
            Kind = scan.Distrust is not null ? ScanRecord.FullAfterDoubt : isUpon ? ScanRecord.Changes : ScanRecord.Full,
            Reason = scan.Reason is { } reason ? $"{reason}; {DescribePasses()}" : DescribePasses(),
            Base = isUpon ? scan.Upon!.Value.Base.Point : null,
            ReadBytes = _readBytes + scan.SampledBytes,
            ChangedBytes = scan.ChangedBytes,
            DoubtfulBytes = scan.DoubtfulBytes,
            SampledChunks = scan.SampledChunks,
            NewPages = _session.Totals.NewPages,
            MapDistrusted = scan.Distrust,
        };
    }

    private string DescribePasses()
    {
        string passes = string.Create(
            CultureInfo.InvariantCulture, $"it was copied in {_passes} passes while it was written, {ByteSize.Format(_readBytes - _firstBytes)} of it again");
        return _snapshot.Doubts is { Count: > 0 } doubts ? $"{passes}; a write may have been missed, so everything was read again: {string.Join("; ", doubts)}" : passes;
    }

    private void Leave(IEnumerable<Extent> extents)
    {
        foreach (Extent extent in extents)
        {
            _left.Add(extent);
        }
    }
}
