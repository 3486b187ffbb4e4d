using Quench.Blocks;
using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>
/// Which chunks of an image must be read when it is known what changed since an earlier point, and what becomes of the rest:
///
///     used now, and changed, in doubt, or used otherwise than then    read
///     used now, all else                                             as it was: the base's id
///     not used now, used then                                        a hole
///     neither                                                        as it was: a hole
///
/// Constant once made.
/// </summary>
internal sealed class ScanPlan
{
    private readonly CapturePlan _whole;

    /// <summary>Lays the changes over the chunk grid.</summary>
    /// <param name="whole">Everything that is in use now.</param>
    /// <param name="used">The blocks in use now, of which that plan was made.</param>
    /// <param name="changes">What may have changed, of the same volume's length, with a point.</param>
    public ScanPlan(CapturePlan whole, UsedBlocks used, VolumeChanges changes)
    {
        _whole = whole;
        BlockBitmap read = NewBitmap();
        Mark(changes.Changed!.Runs(), read);

        // A chunk in which other blocks are in use than at the point is read although nobody wrote it: its stored form has zeros where
        // blocks were not in use then, and what lies there now may have been written before the point was made.
        Mark(Differences(changes.UsedThen!, used), read);
        BlockBitmap doubtful = NewBitmap();
        Mark(changes.Doubtful!.Runs(), doubtful);
        Remove(read, doubtful);
        DoubtfulChunks = doubtful;
        Add(doubtful, read);
        ToRead = whole.Only(read);
        Unchanged = NewBitmap();
        Add(whole.Chunks, Unchanged);
        Remove(read, Unchanged);
        Then = new CapturePlan(changes.UsedThen!, whole.ChunkSize).Chunks;
        Holes = NewBitmap();
        Add(Then, Holes);
        Remove(whole.Chunks, Holes);
    }

    /// <summary>What must be read.</summary>
    public CapturePlan ToRead { get; }

    /// <summary>Chunks that are read for no other reason than doubt.</summary>
    public BlockBitmap DoubtfulChunks { get; }

    /// <summary>Chunks in use that are said to be as they were.</summary>
    public BlockBitmap Unchanged { get; }

    /// <summary>Chunks that the point holds.</summary>
    public BlockBitmap Then { get; }

    /// <summary>Chunks that the point holds and of which nothing is in use now.</summary>
    public BlockBitmap Holes { get; }

    /// <summary>All chunks whose entry in the image's map may be another than in the point's.</summary>
    public BlockBitmap Touched()
    {
        BlockBitmap touched = NewBitmap();
        Add(ToRead.Chunks, touched);
        Add(Holes, touched);
        return touched;
    }

    /// <summary>The bytes in which two maps of one volume differ, in order.</summary>
    internal static IEnumerable<Extent> Differences(UsedBlocks then, UsedBlocks now)
    {
        using IEnumerator<long> a = Edges(then).GetEnumerator();
        using IEnumerator<long> b = Edges(now).GetEnumerator();
        bool moreA = a.MoveNext();
        bool moreB = b.MoveNext();
        bool differs = false;
        long from = 0;
        while (moreA || moreB)
        {
            bool takeA = moreA && (!moreB || a.Current <= b.Current);
            long edge = takeA ? a.Current : b.Current;
            if (differs && edge > from)
            {
                yield return Extent.FromTo(from, edge);
            }

            differs = !differs;
            from = edge;
            moreA = takeA ? a.MoveNext() : moreA;
            moreB = takeA ? moreB : b.MoveNext();
        }
    }

    /// <summary>Where a map changes from unused to used and back.</summary>
    private static IEnumerable<long> Edges(UsedBlocks used)
    {
        foreach (Extent run in used.Runs())
        {
            yield return run.Offset;
            yield return run.End;
        }
    }

    private static void Add(BlockBitmap from, BlockBitmap into)
    {
        foreach ((long first, long count) in from.SetRuns())
        {
            into.SetRange(first, count);
        }
    }

    private static void Remove(BlockBitmap what, BlockBitmap from)
    {
        foreach ((long first, long count) in what.SetRuns())
        {
            from.ClearRange(first, count);
        }
    }

    private BlockBitmap NewBitmap() => new(_whole.Chunks.Length);

    /// <summary>Marks the chunks in use that any of these bytes lie in.</summary>
    private void Mark(IEnumerable<Extent> extents, BlockBitmap into)
    {
        foreach (Extent extent in extents)
        {
            long end = ((extent.End - 1) / _whole.ChunkSize) + 1;
            for (long chunk = _whole.Chunks.NextSet(extent.Offset / _whole.ChunkSize, end); chunk < end;)
            {
                long clear = _whole.Chunks.NextClear(chunk, end);
                into.SetRange(chunk, clear - chunk);
                chunk = _whole.Chunks.NextSet(clear, end);
            }
        }
    }
}
