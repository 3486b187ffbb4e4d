namespace Quench.Blocks;

/// <summary>How big a device is and in which units it wants to be addressed.</summary>
/// <param name="Length">Bytes.</param>
/// <param name="SectorSize">
/// Bytes; a power of two. Offsets and lengths of all I/O are multiples of it, but for the very end of a device whose length is not.
/// 1 when any byte can be addressed.
/// </param>
public readonly record struct BlockGeometry(long Length, int SectorSize)
{
    /// <summary>The whole device as one extent.</summary>
    public Extent Whole => new(0, Length);
}
