using Quench.Blocks;

namespace Quench.Imaging.Capture;

/// <summary>
/// What of a volume goes into its image: every chunk that holds a used block. Inside such a chunk unused blocks count as zeros,
/// so that the image is one well-defined sequence of bytes whatever lay in free space. Constant once made; readable from many threads.
/// </summary>
internal sealed class CapturePlan
{
    private readonly UsedBlocks _used;

    /// <summary>Lays the chunk grid over the used blocks.</summary>
    /// <param name="used">The blocks in use; kept, and not to be changed any more.</param>
    /// <param name="chunkSize">Bytes of a chunk; a power of two.</param>
    public CapturePlan(UsedBlocks used, int chunkSize)
    {
        _used = used;
        ChunkSize = chunkSize;
        Chunks = new BlockBitmap((used.VolumeLength / chunkSize) + (used.VolumeLength % chunkSize == 0 ? 0 : 1));
        foreach (Extent run in used.Runs())
        {
            long first = run.Offset / chunkSize;
            Chunks.SetRange(first, ((run.End - 1) / chunkSize) - first + 1);
        }

        UsedBytes = used.TotalLength;
        ReadBytes = Count();
    }

    private CapturePlan(CapturePlan whole, BlockBitmap chunks)
    {
        (_used, ChunkSize, Chunks, UsedBytes) = (whole._used, whole.ChunkSize, chunks, whole.UsedBytes);
        ReadBytes = Count();
    }

    /// <summary>Bytes of the volume.</summary>
    public long Length => _used.VolumeLength;

    /// <summary>Bytes of a chunk; the last one of a volume may be shorter.</summary>
    public int ChunkSize { get; }

    /// <summary>The chunks to image.</summary>
    public BlockBitmap Chunks { get; }

    /// <summary>Bytes in use.</summary>
    public long UsedBytes { get; }

    /// <summary>Bytes to read: those of all planned chunks.</summary>
    public long ReadBytes { get; }

    /// <summary>Where a run of chunks lies, cut off at the volume's end.</summary>
    public Extent ExtentOf(long firstChunk, long count) =>
        Extent.FromTo(firstChunk * ChunkSize, Math.Min((firstChunk + count) * ChunkSize, Length));

    /// <summary>The same image, of which only some chunks are read.</summary>
    /// <param name="chunks">A part of <see cref="Chunks"/>; kept, and not to be changed any more.</param>
    public CapturePlan Only(BlockBitmap chunks) => new(this, chunks);

    /// <summary>The used blocks inside the planned chunks: all that will be read and not replaced by zeros.</summary>
    public UsedBlocks UsedInPlan()
    {
        UsedBlocks inside = new(Length, _used.BlockSize);
        foreach ((long first, long count) in Chunks.SetRuns())
        {
            Extent run = ExtentOf(first, count);
            long end = ((run.End - 1) / _used.BlockSize) + 1;
            for (long block = _used.Bits.NextSet(run.Offset / _used.BlockSize, end); block < end;)
            {
                long clear = _used.Bits.NextClear(block, end);
                inside.Bits.SetRange(block, clear - block);
                block = _used.Bits.NextSet(clear, end);
            }
        }

        return inside;
    }

    /// <summary>Puts zeros in the place of the blocks that are not in use.</summary>
    /// <param name="offset">Where on the volume the bytes were read.</param>
    /// <param name="bytes">The bytes, changed in place.</param>
    public void ZeroUnused(long offset, Span<byte> bytes)
    {
        long end = offset + bytes.Length;
        long block = _used.Bits.NextClear(offset / _used.BlockSize);
        while (block >= 0 && block * _used.BlockSize < end)
        {
            long next = _used.Bits.NextSet(block);
            int from = (int)(Math.Max(block * _used.BlockSize, offset) - offset);
            int to = (int)((next < 0 ? end : Math.Min(next * _used.BlockSize, end)) - offset);
            bytes[from..to].Clear();
            block = next < 0 ? -1 : _used.Bits.NextClear(next);
        }
    }

    private long Count() => Chunks.SetRuns().Sum(run => ExtentOf(run.First, run.Count).Length);
}
