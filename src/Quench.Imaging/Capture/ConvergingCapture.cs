using System.Globalization;
using Quench.Blocks;
using Quench.FileSystems;
using Quench.Imaging.Activity;
using Quench.Snapshots;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>
/// Images a volume whose instant lies at the end. Each pass stores what changed since the one before, as an image upon that one's image, by the same stages as any
/// capture; the last one is read while writers are held and stored when they go on.
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
    private readonly CaptureRequest _request;
    private readonly IConvergingSnapshot _snapshot;
    private readonly BackupSession _session;
    private readonly ActivityMonitor _activity;
    private readonly MapReader _map;
    private readonly int _chunkSize;
    private readonly BlockBitmap _left;  // chunks that changed, or are used otherwise, since they were copied
    private VolumeAnalysis? _analysis;   // the last look; what of it differs from the copied image is in _left
    private BlockBitmap _copied;         // chunks that the image so far holds
    private BaseImage? _image;           // the image so far; null before the first pass
    private int _passes;
    private long _readBytes;
    private long _pages;

    private ConvergingCapture(CaptureRequest request, IConvergingSnapshot snapshot, BackupSession session, ActivityMonitor activity, int chunkSize)
    {
        (_request, _snapshot, _session, _activity, _chunkSize) = (request, snapshot, session, activity, chunkSize);
        _map = new MapReader(() => snapshot.Reader);
        long chunks = (snapshot.Reader.Geometry.Length + chunkSize - 1) / chunkSize;
        _left = new BlockBitmap(chunks);
        _copied = new BlockBitmap(chunks);
    }

    /// <summary>Images it.</summary>
    /// <exception cref="QuenchException">
    /// SNAP-120 to SNAP-122: its writers could not be held; SNAP-163: it is not the same any more; SNAP-164: it is written faster than it can be read; IMG-110; and what the vault
    /// throws. No point has been committed then.
    /// </exception>
    public static async Task<CaptureResult> RunAsync(
        CaptureRequest request, IConvergingSnapshot snapshot, BackupVault vault, ActivityMonitor activity, CancellationToken cancellationToken)
    {
        if (request.Prove)
        {
            throw new ArgumentException("the instant of such a snapshot can't be read twice", nameof(request));
        }

        await using BackupSession session = await vault.BeginAsync(request.Host, cancellationToken);
        return await new ConvergingCapture(request, snapshot, session, activity, vault.Info.ChunkSize).RunAsync(cancellationToken);
    }

    private async Task<CaptureResult> RunAsync(CancellationToken cancellationToken)
    {
        CapturePlan plan;
        bool isHeld = false;
        do
        {
            UsedBlocks changed = await _snapshot.TakeChangesAsync(cancellationToken);
            plan = await LookAsync(changed, VolumeCondition.Running, cancellationToken);
            if (_snapshot.ShouldHold(Rest(plan).ReadBytes))
            {
                isHeld = await _snapshot.HoldAsync(
                    async changedSince =>
                    {
                        plan = await LookAsync(changedSince, VolumeCondition.Frozen, CancellationToken.None);
                        return AsBlocks(Rest(plan));
                    },
                    cancellationToken);
                if (!isHeld)
                {
                    continue;
                }
            }

            await CopyAsync(plan, cancellationToken);
        }
        while (!isHeld);

        VolumeRecord volume = VolumeCapture.Describe(_request with { Analysis = _analysis! }, plan) with { Root = _image!.Volume.Root };
        volume = volume with { Scan = DescribeScan() };
        return await VolumeCapture.CommitAsync(_request, _session, volume, _activity, cancellationToken);
    }

    /// <summary>Reads the map of used blocks, and counts as left what changed and what is used otherwise.</summary>
    private async Task<CapturePlan> LookAsync(UsedBlocks changed, VolumeCondition condition, CancellationToken cancellationToken)
    {
        _map.Forget(changed);
        VolumeAnalysis found = await Recogniser.AnalyseAsync(_map, condition, cancellationToken);

        // A map that is written while it is read may contradict itself. The look before is as good as another while passes go on; the one that counts is taken while writers are held.
        VolumeAnalysis look = found.Doubt is not null && condition == VolumeCondition.Running && _analysis is not null ? _analysis : found;
        Mark(changed.Runs());
        if (_analysis is not null)
        {
            Mark(ScanPlan.Differences(_analysis.Used, look.Used));
        }

        _analysis = look;
        return new CapturePlan(look.Used, _chunkSize);
    }

    /// <summary>Those chunks of a plan that are left.</summary>
    private CapturePlan Rest(CapturePlan plan)
    {
        BlockBitmap rest = new(plan.Chunks.Length);
        foreach ((long first, long count) in plan.Chunks.SetRuns())
        {
            for (long chunk = _left.NextSet(first, first + count); chunk < first + count;)
            {
                long clear = _left.NextClear(chunk, first + count);
                rest.SetRange(chunk, clear - chunk);
                chunk = _left.NextSet(clear, first + count);
            }
        }

        return plan.Only(rest);
    }

    /// <summary>Stores what is left, as an image upon the image so far.</summary>
    private async Task CopyAsync(CapturePlan plan, CancellationToken cancellationToken)
    {
        CapturePlan rest = Rest(plan);
        BlockBitmap holes = new(plan.Chunks.Length);
        foreach ((long first, long count) in _copied.SetRuns())
        {
            holes.SetRange(first, count);
        }

        foreach ((long first, long count) in plan.Chunks.SetRuns())
        {
            holes.ClearRange(first, count);
        }

        ImageWriter image = _image is null ? _session.NewImage(plan.Length, rest.Chunks) : _session.NewImage(_image, rest.Chunks, holes);
        _activity.Begin(JobPhase.Imaging, rest.ReadBytes);
        await VolumeCapture.RunStagesAsync(_request, rest, _session, image, _activity, cancellationToken);
        VolumeRecord record = VolumeCapture.Describe(_request, plan) with { Root = await image.FinishAsync(cancellationToken) };
        await _session.SettleAsync(cancellationToken); // the next pass reads the map's pages; and nothing is on its way to a vault on this volume while it is frozen
        _image = _session.BaseOf(record);
        _copied = plan.Chunks;
        _left.ClearRange(0, _left.Length);
        (_passes, _readBytes, _pages) = (_passes + 1, _readBytes + rest.ReadBytes, _session.Totals.NewPages);
    }

    private ScanRecord DescribeScan() => new()
    {
        Kind = ScanRecord.Full,
        Reason = string.Create(CultureInfo.InvariantCulture, $"the volume was copied in {_passes} passes while it was written"),
        ReadBytes = _readBytes,
        NewPages = _pages,
    };

    private UsedBlocks AsBlocks(CapturePlan rest)
    {
        UsedBlocks blocks = new(rest.Length, _chunkSize);
        foreach ((long first, long count) in rest.Chunks.SetRuns())
        {
            blocks.Bits.SetRange(first, count);
        }

        return blocks;
    }

    private void Mark(IEnumerable<Extent> extents)
    {
        foreach (Extent extent in extents)
        {
            long first = extent.Offset / _chunkSize;
            _left.SetRange(first, ((extent.End - 1) / _chunkSize) - first + 1);
        }
    }
}
