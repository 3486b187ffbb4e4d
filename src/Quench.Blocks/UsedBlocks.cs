namespace Quench.Blocks;

/// <summary>
/// Which bytes of a volume are in use: one bit a block over the whole volume, the last block cut off at the volume's end.
/// Memory is bounded by the bitmap however fragmented the volume is. Not thread-safe while it is being changed.
/// </summary>
public sealed class UsedBlocks
{
    /// <summary>A map with nothing in use.</summary>
    /// <param name="volumeLength">Bytes of the volume.</param>
    /// <param name="blockSize">Bytes of a block; a power of two.</param>
    public UsedBlocks(long volumeLength, int blockSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(volumeLength);
        if (blockSize <= 0 || (blockSize & (blockSize - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(blockSize), blockSize, "a block size is a power of two");
        }

        VolumeLength = volumeLength;
        BlockSize = blockSize;
        Bits = new BlockBitmap((volumeLength / blockSize) + (volumeLength % blockSize == 0 ? 0 : 1));
    }

    /// <summary>Bytes of the volume.</summary>
    public long VolumeLength { get; }

    /// <summary>Bytes of a block.</summary>
    public int BlockSize { get; }

    /// <summary>A bit for each block, set where the block is in use.</summary>
    public BlockBitmap Bits { get; }

    /// <summary>The map in which everything is in use.</summary>
    public static UsedBlocks All(long volumeLength)
    {
        UsedBlocks all = new(volumeLength, 64 * 1024);
        all.Bits.SetRange(0, all.Bits.Length);
        return all;
    }

    /// <summary>Counts every block that an extent touches as in use.</summary>
    public void Add(Extent extent)
    {
        if (!extent.IsEmpty)
        {
            long first = extent.Offset / BlockSize;
            Bits.SetRange(first, ((extent.End - 1) / BlockSize) - first + 1);
        }
    }

    /// <summary>These blocks and those of another map of the same volume, rounded out to blocks of this size.</summary>
    /// <returns>The caller's.</returns>
    public UsedBlocks With(UsedBlocks others)
    {
        UsedBlocks both = new(VolumeLength, BlockSize);
        foreach ((long first, long count) in Bits.SetRuns())
        {
            both.Bits.SetRange(first, count);
        }

        foreach (Extent run in others.Runs())
        {
            both.Add(run);
        }

        return both;
    }

    /// <summary>Whether any byte of an extent is in use.</summary>
    public bool Overlaps(Extent extent)
    {
        if (extent.IsEmpty)
        {
            return false;
        }

        long next = Bits.NextSet(extent.Offset / BlockSize);
        return next >= 0 && next * BlockSize < extent.End;
    }

    /// <summary>The runs in use, in order, as bytes.</summary>
    public IEnumerable<Extent> Runs()
    {
        foreach ((long first, long count) in Bits.SetRuns())
        {
            yield return Extent.FromTo(first * BlockSize, Math.Min((first + count) * BlockSize, VolumeLength));
        }
    }

    /// <summary>Bytes in use.</summary>
    public long TotalLength
    {
        get
        {
            long whole = Bits.CountSet() * BlockSize;
            long tail = VolumeLength % BlockSize;
            return tail != 0 && Bits[Bits.Length - 1] ? whole - BlockSize + tail : whole;
        }
    }
}
