namespace Quench.Snapshots.Providers.Tracked;

/// <summary>The range of a disk that is tracked, as requests speak of it: whole disks' numbers and bytes, a partition being a range of its disk.</summary>
/// <param name="DiskMajor">The disk's major number.</param>
/// <param name="DiskFirstMinor">The disk's own minor number.</param>
/// <param name="Start">Where on the disk the range begins, in bytes.</param>
/// <param name="Length">Bytes of the range.</param>
/// <param name="BlockSize">Bytes that one bit of the map stands for; a power of two.</param>
internal readonly record struct TrackerTarget(uint DiskMajor, uint DiskFirstMinor, long Start, long Length, int BlockSize)
{
    /// <summary>A device as it lies.</summary>
    public static TrackerTarget Of(DiskPlace place, int blockSize) => new(place.Disk.Major, place.Disk.Minor, place.Start, place.Length, blockSize);

    /// <summary>How many blocks; the last may be cut off.</summary>
    public long Blocks => (Length + BlockSize - 1) / BlockSize;

    /// <summary>How many words of 64 bits their map has.</summary>
    public int Words => checked((int)((Blocks + 63) / 64));
}
