using Quench.Exports.Fuse;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>What a spill file may cost and how long it may take.</summary>
internal sealed record SpillSettings
{
    /// <summary>How long the writes of production wait for the spill file, each at most, before the snapshot pays. What is longer than <see cref="LongestWrite"/> has it for each step of that size.</summary>
    internal static readonly TimeSpan SaveWaitLimit = TimeSpan.FromMilliseconds(250);

    /// <summary>No write with data is longer; what is longer is a zeroing or a discard, which may be of the whole volume.</summary>
    internal const long LongestWrite = FuseSession.MaxTransfer;

    /// <summary>The longest that a saved block may take into its place, or out of it again.</summary>
    internal static readonly TimeSpan LongestHandling = TimeSpan.FromSeconds(10);

    private const long SmallestRing = 1L << 20;
    private const long LargestRing = 32L << 20;

    /// <summary>Bytes of a block, which is also a slot: a multiple of 4096, because the file may be open for direct I/O.</summary>
    public required int BlockSize { get; init; }

    /// <summary>Bytes of locked memory for blocks on their way.</summary>
    public required int RingBytes { get; init; }

    /// <summary>How long one saving may wait for room in the ring, all its waits together.</summary>
    public TimeSpan Budget { get; init; } = SaveWaitLimit;

    /// <summary>How long a block may be on its way to the file, and a read from the file may take.</summary>
    public TimeSpan HandlingLimit { get; init; } = LongestHandling;

    /// <summary>How much of a diff area's memory is kept for blocks on their way: a quarter, from 1 to 32 MiB, and no more than there is.</summary>
    public static long RingFor(long memoryBytes, int blockSize) =>
        Math.Max(blockSize, Math.Min(memoryBytes, Math.Clamp(memoryBytes / 4, SmallestRing, LargestRing))) / blockSize * blockSize;
}
