using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Imaging.Capture.Exclusions;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// One volume on its way to an image of its instant, which lies at the end. Each pass stores what changed since the one before, as an image upon that one's image, by the same stages as any
/// capture; the last one is read while writers are held and stored when they go on. The first pass reads everything in use, or, where the provider knows what changed since an
/// earlier point, that much upon that point's image.
/// </summary>
/// <remarks>
/// What is taken is read after that, never before: a write during the reading is in the next pass. A chunk that is no longer used becomes a hole; one that is used otherwise than
/// when it was copied is copied again, because its stored form has zeros where nothing was used.
/// </remarks>
internal sealed class ConvergingVolume
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
    private long _newBytes;              // what the session has stored for this volume
    private long _storedBytes;
    private long _newPages;
    private CapturePlan? _plan;          // of the last look; null before the first
    private LeftOut? _leftOut;           // of the last look that counts
    private UsedBlocks? _rest;           // what was chosen while writers were held; null before that

    /// <summary>Begins with it.</summary>
    /// <param name="request">What to image.</param>
    /// <param name="snapshot">The volume.</param>
    /// <param name="vault">Where to.</param>
    /// <param name="session">Through which; one volume at a time uses it.</param>
    /// <param name="activity">Told how far each pass is.</param>
    /// <param name="map">Reads the volume's map.</param>
    public ConvergingVolume(CaptureRequest request, IConvergingSnapshot snapshot, BackupVault vault, BackupSession session, ActivityMonitor activity, MapReader map)
    {
        (_request, _snapshot, _vault, _session, _activity, _map) = (request, snapshot, vault, session, activity, map);
        long length = snapshot.Reader.Geometry.Length;
        _left = new UsedBlocks(length, BlockBytes);
        _copied = new BlockBitmap((length + vault.Info.ChunkSize - 1) / vault.Info.ChunkSize);
    }

    /// <summary>Takes what changed, and looks at the map.</summary>
    /// <returns>Whether its writers should be held now; otherwise what is left should be copied first.</returns>
    public async Task<bool> LookAsync(CancellationToken cancellationToken)
    {
        UsedBlocks changed = await _snapshot.TakeChangesAsync(cancellationToken);
        _plan = await LookAsync(changed, isHeld: false, cancellationToken);
        _plan = _scan is null ? await BeginAsync(_plan, cancellationToken) : _plan;
        return _snapshot.ShouldHold(LeftInUse().TotalLength);
    }

    /// <summary>Stores what is left while writers go on.</summary>
    public Task CopyAsync(CancellationToken cancellationToken) => CopyAsync(_request, _plan!, cancellationToken);

    /// <summary>Called while writers are held: all that must be copied still.</summary>
    public async ValueTask<UsedBlocks> ChooseRestAsync(UsedBlocks changed)
    {
        _plan = await LookAsync(changed, isHeld: true, CancellationToken.None);
        return _rest = LeftInUse();
    }

    /// <summary>Stores what was copied while writers were held, over the image so far. The image is then that of the instant.</summary>
    public async Task<CapturedVolume> FinishAsync(CancellationToken cancellationToken)
    {
        await using (HeldOverImage last = new(_snapshot, _vault.OpenImage(_image!.Volume), _rest!))
        {
            await CopyAsync(_request with { Snapshot = last }, _plan!, cancellationToken);
        }

        VolumeRecord volume = VolumeCapture.Describe(Final, _plan!) with { Root = _image!.Volume.Root, NewBytes = _newBytes, StoredBytes = _storedBytes };
        return new CapturedVolume(_snapshot, volume with { Scan = DescribeScan(_scan!) });
    }

    /// <summary>Lets the provider count changes from the point on.</summary>
    public async Task<IReadOnlyList<CaptureWarning>> RememberAsync(RecoveryPoint point, CancellationToken cancellationToken) =>
        [.. VolumeCapture.Warnings(Final, _scan!), .. await VolumeCapture.RememberAsync(Final, _vault.Info.Id, point, cancellationToken)];

    /// <summary>What of it was left out at the instant; null before the first look.</summary>
    public LeftOut? LeftOut => _leftOut;

    private CaptureRequest Final => _request with { Analysis = _analysis!, LeftOut = _leftOut };

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
    private async Task<CapturePlan> LookAsync(UsedBlocks changed, bool isHeld, CancellationToken cancellationToken)
    {
        _map.Forget(changed);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(
            _map, extent => isHeld ? PartConditions.AtInstant(_snapshot, extent) : PartConditions.WhileRunning(_snapshot, extent), cancellationToken);
        LeftOut left = await LeftOut.FindAsync(_map, found, _request.Exclusions, LeftOut.MostBlocksWhileHeld, cancellationToken);
        (found, _leftOut) = (left.Analysis, left);

        // A map that is written while it is read may contradict itself. The look before is as good as another while passes go on; the one that counts is taken while writers are held.
        VolumeAnalysis look = found.Doubt is not null && !isHeld && _analysis is not null
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

    /// <summary>Stores what is left, as an image upon the image so far.</summary>
    private async Task CopyAsync(CaptureRequest request, CapturePlan plan, CancellationToken cancellationToken)
    {
        CapturePlan rest = ChunksLeft(plan);
        SessionTotals before = _session.Totals;
        ImageWriter image = _image is null ? _session.NewImage(plan.Length, rest.Chunks) : _session.NewImage(_image, rest.Chunks, NoLongerIn(plan));
        _activity.Begin(JobPhase.Imaging, rest.ReadBytes);
        await VolumeCapture.RunStagesAsync(request, rest, _session, image, _activity, cancellationToken);
        VolumeRecord record = VolumeCapture.Describe(request, plan) with { Root = await image.FinishAsync(cancellationToken) };
        await _session.SettleAsync(cancellationToken); // the next pass reads what is stored; and nothing is on its way to a vault on this volume while it is frozen
        SessionTotals after = _session.Totals;
        (_newBytes, _storedBytes, _newPages) = (_newBytes + after.NewChunkBytes - before.NewChunkBytes, _storedBytes + after.StoredBytes - before.StoredBytes, _newPages + after.NewPages - before.NewPages);
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
            NewPages = _newPages,
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
