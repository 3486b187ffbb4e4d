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

    /// <summary>Refuses a range that the device can't be asked for. Every door of every device begins with this.</summary>
    /// <param name="offset">First byte.</param>
    /// <param name="length">Bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range leaves the device.</exception>
    /// <exception cref="ArgumentException">The range is not made of whole sectors, and does not end where the device ends.</exception>
    public void Check(long offset, long length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
        {
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{length} bytes at {offset} leave the device of {Length} bytes");
        }

        long mask = SectorSize - 1L;
        bool wholeAtEnd = (length & mask) == 0 || offset + length == Length;
        if ((offset & mask) != 0 || !wholeAtEnd)
        {
            throw new ArgumentException($"{length} bytes at {offset} are not whole sectors of {SectorSize} bytes", nameof(offset));
        }
    }
}
