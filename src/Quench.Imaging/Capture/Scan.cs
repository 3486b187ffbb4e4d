using Quench.Blocks;
using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>How one capture reads its volume, and why. Constant.</summary>
internal sealed record Scan
{
    /// <summary>What is read.</summary>
    public required CapturePlan ToRead { get; init; }

    /// <summary>The blocks that count as in use, where the map could not be read because the volume was running: those of the point, and what changed. Null otherwise.</summary>
    public UsedBlocks? UsedSoFar { get; init; }

    /// <summary>Why not only what changed; null for a scan of the changes.</summary>
    public string? Reason { get; init; }

    /// <summary>What the image is built upon, and how; null for a full scan.</summary>
    public (BaseImage Base, ScanPlan Plan)? Upon { get; init; }

    /// <summary>Why the map of changes was found wrong, when it was.</summary>
    public string? Distrust { get; init; }

    /// <summary>Chunks that were read to test the map.</summary>
    public int SampledChunks { get; init; }

    /// <summary>Their bytes.</summary>
    public long SampledBytes { get; init; }

    /// <summary>Bytes that the provider called changed.</summary>
    public long ChangedBytes { get; init; }

    /// <summary>Bytes that the provider was not certain about.</summary>
    public long DoubtfulBytes { get; init; }

    /// <summary>Begins the image.</summary>
    public ImageWriter NewImage(BackupSession session) => Upon is { } upon
        ? session.NewImage(upon.Base, ToRead.Chunks, upon.Plan.Holes)
        : session.NewImage(ToRead.Length, ToRead.Chunks);

    /// <summary>What the point says about it.</summary>
    /// <param name="image">The image, finished.</param>
    /// <param name="newPages">Pages that were stored for it.</param>
    public ScanRecord Describe(ImageWriter image, long newPages) => new()
    {
        Kind = Distrust is not null ? ScanRecord.FullAfterDoubt : Upon is null ? ScanRecord.Full : ScanRecord.Changes,
        Reason = Reason,
        Base = Upon?.Base.Point,
        ReadBytes = ToRead.ReadBytes + SampledBytes,
        ChangedBytes = ChangedBytes,
        DoubtfulBytes = DoubtfulBytes,
        DoubtfulChunks = Upon?.Plan.DoubtfulChunks.CountSet() ?? 0,
        DoubtfulChunksDiffering = Upon is { } upon ? CountBoth(upon.Plan.DoubtfulChunks, image.Differing) : 0,
        SampledChunks = SampledChunks,
        NewPages = newPages,
        MapDistrusted = Distrust,
    };

    private static long CountBoth(BlockBitmap a, BlockBitmap b) => a.SetRuns().Sum(run => b.CountSet(run.First, run.Count));
}
