using Quench.Blocks;

namespace Quench.Imaging.Capture;

/// <summary>
/// Which run of chunks is read next. In order of offset as a rule; when the diff area is nearly full, those whose old bytes lie in it
/// come first, because imaging them frees it. Every planned chunk is handed out exactly once. Values in, values out; not thread-safe.
/// </summary>
internal sealed class CaptureOrder
{
    /// <summary>How much is handed out before the diff area is looked at again.</summary>
    public const long BytesBetweenLooks = 4 << 20;

    private readonly CapturePlan _plan;
    private readonly int _chunksInSegment;
    private readonly BlockBitmap _left;                 // planned and not handed out yet
    private readonly Queue<Extent> _urgent = new();     // saved extents to serve first
    private long _position;                             // no chunk before it is left
    private long _sinceLook = BytesBetweenLooks;        // look once before the first segment
    private bool _emergency;

    /// <summary>Nothing handed out yet.</summary>
    /// <param name="plan">What is to be imaged.</param>
    /// <param name="segmentBytes">The longest run to hand out; at least one chunk.</param>
    public CaptureOrder(CapturePlan plan, int segmentBytes)
    {
        _plan = plan;
        _chunksInSegment = Math.Max(1, segmentBytes / plan.ChunkSize);
        _left = new BlockBitmap(plan.Chunks.Length);
        foreach ((long first, long count) in plan.Chunks.SetRuns())
        {
            _left.SetRange(first, count);
        }
    }

    /// <summary>Whether the diff area's state should be asked for before the next segment is taken.</summary>
    public bool IsLookDue => _sinceLook >= BytesBetweenLooks || (_emergency && _urgent.Count == 0);

    /// <summary>Takes in how the diff area stands.</summary>
    /// <param name="nearlyFull">Whether imaging must now serve the diff area first.</param>
    /// <param name="saved">The extents that lie in it, when it is nearly full.</param>
    public void Learn(bool nearlyFull, IReadOnlyList<Extent> saved)
    {
        _sinceLook = 0;
        _emergency = nearlyFull;
        _urgent.Clear();
        foreach (Extent extent in nearlyFull ? saved : [])
        {
            _urgent.Enqueue(extent);
        }
    }

    /// <summary>Hands out the next run.</summary>
    /// <returns>False when every planned chunk has been handed out.</returns>
    public bool TryTake(out Extent segment)
    {
        while (_urgent.TryPeek(out Extent saved))
        {
            long first = _left.NextSet(saved.Offset / _plan.ChunkSize);
            if (first >= 0 && first * _plan.ChunkSize < saved.End)
            {
                segment = Take(first, Math.Min(_left.Length, ((saved.End - 1) / _plan.ChunkSize) + 1));
                return true;
            }

            _urgent.Dequeue();
        }

        _position = _position < _left.Length ? _left.NextSet(_position) : -1;
        if (_position < 0)
        {
            _position = _left.Length;
            segment = default;
            return false;
        }

        segment = Take(_position, _left.Length);
        return true;
    }

    private Extent Take(long first, long limit)
    {
        long clear = _left.NextClear(first);
        long end = Math.Min(clear < 0 ? _left.Length : clear, Math.Min(limit, first + _chunksInSegment));
        _left.ClearRange(first, end - first);
        Extent segment = _plan.ExtentOf(first, end - first);
        _sinceLook += segment.Length;
        return segment;
    }
}
