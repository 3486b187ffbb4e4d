using System.Numerics;
using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>
/// The map of a file system whose clusters begin anywhere: counted from 0 at the start of its heap. What lies before and after the heap is in use.
/// </summary>
/// <remarks>
/// The map speaks in the largest power of two that the heap's start and the clusters are multiples of. Where that would take more bits than
/// <see cref="MostBits"/>, it speaks in larger blocks, and one that is used in part counts as in use.
/// </remarks>
internal sealed class ClusterHeap
{
    public const long MostBits = 1L << 28;
    private readonly long _start;
    private readonly long _clusterSize;

    /// <summary>A heap with no cluster in use.</summary>
    /// <param name="volumeLength">Bytes.</param>
    /// <param name="start">The heap's first byte.</param>
    /// <param name="clusterSize">Bytes; a power of two.</param>
    /// <param name="clusters">How many lie between the start and the volume's end.</param>
    public ClusterHeap(long volumeLength, long start, int clusterSize, long clusters)
    {
        _start = start;
        _clusterSize = clusterSize;
        int shift = Math.Min(BitOperations.TrailingZeroCount(start), BitOperations.TrailingZeroCount(clusterSize));
        while (volumeLength >> shift > MostBits)
        {
            shift++;
        }

        Used = new UsedBlocks(volumeLength, 1 << shift);
        Used.Add(new Extent(0, start));
        Used.Add(Extent.FromTo(start + (clusters * clusterSize), volumeLength));
    }

    public UsedBlocks Used { get; }

    /// <summary>Where a cluster begins.</summary>
    public long OffsetOf(long cluster) => _start + (cluster * _clusterSize);

    /// <summary>Counts clusters as in use.</summary>
    public void Add(long first, long count) => Used.Add(new Extent(OffsetOf(first), count * _clusterSize));

    /// <summary>Whether a cluster counts as in use.</summary>
    public bool IsUsed(long cluster) => Used.Overlaps(new Extent(OffsetOf(cluster), 1));
}
