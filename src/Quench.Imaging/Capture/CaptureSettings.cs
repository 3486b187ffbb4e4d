using Quench.Vault;

namespace Quench.Imaging.Capture;

/// <summary>How a capture uses the machine. The image does not depend on any of it.</summary>
public sealed record CaptureSettings
{
    /// <summary>Reads in flight.</summary>
    public int ReadLanes { get; init; } = 4;

    /// <summary>Lanes that hash and seal: one for a core.</summary>
    public int WorkLanes { get; init; } = Environment.ProcessorCount;

    /// <summary>How hard new chunks are compressed.</summary>
    public Compression Compression { get; init; } = Compression.Standard;

    /// <summary>Bytes of a read; chunks are never cut, so a larger chunk makes a larger read.</summary>
    public int SegmentBytes { get; init; } = 1 << 20;

    /// <summary>Segments in memory at once: those being read, those waiting and those being worked on.</summary>
    public int SegmentsInMemory => (2 * ReadLanes) + (2 * WorkLanes);
}
