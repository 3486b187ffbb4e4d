using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>Where the old bytes of a segment are.</summary>
internal enum ReadSource
{
    /// <summary>Nowhere: the blocks were not in use at the instant and read as zeros.</summary>
    Zero,

    /// <summary>Still on the origin. Only a re-check after the read proves that.</summary>
    Origin,

    /// <summary>In slots of the diff area.</summary>
    Slot,
}

/// <summary>A piece of a read and where to take it from.</summary>
/// <param name="Extent">The bytes of the volume.</param>
/// <param name="Source">Where they are.</param>
/// <param name="FirstSlot">
/// For <see cref="ReadSource.Slot"/>: the slot of the first block. The first byte lies <c>Extent.Offset % BlockSize</c> bytes into it, the rest follows
/// through consecutive slots, which are all in memory or all in the spill file. Otherwise 0.
/// </param>
internal readonly record struct ReadSegment(Extent Extent, ReadSource Source, long FirstSlot);

/// <summary>How a read of a snapshot stands.</summary>
internal enum ReadStatus
{
    /// <summary>Not in use.</summary>
    Idle,

    /// <summary>Read the segments, then call <see cref="CopyBeforeWrite.RecheckRead"/>.</summary>
    Reading,

    /// <summary>All bytes are those of the instant.</summary>
    Done,

    /// <summary>A block had been released as imaged: it must not be read again. Drop all bytes.</summary>
    Released,

    /// <summary>The snapshot is broken; <see cref="SnapshotState.Broken"/> says why. Drop all bytes.</summary>
    Broken,

    /// <summary>The snapshot has ended. Drop all bytes.</summary>
    Ended,
}

/// <summary>
/// One read of a snapshot. Lent by <see cref="CopyBeforeWrite.BeginRead"/> and taken back, for reuse, by <see cref="CopyBeforeWrite.EndRead"/>:
/// do not touch it afterwards. No write ever waits for it.
/// </summary>
/// <remarks>What it shows changes only in calls made for this read, so the shell may look at it outside the lock between two of them.</remarks>
internal sealed class ReadPlan
{
    private List<ReadSegment> _segments = [];
    private List<ReadSegment> _checked = []; // the segments of the round before, while a re-check replaces them

    /// <summary>How the read stands.</summary>
    public ReadStatus Status { get; private set; }

    /// <summary>What to read (again) in this round, in order of offset; empty unless <see cref="ReadStatus.Reading"/>.</summary>
    public IReadOnlyList<ReadSegment> Segments => _segments;

    /// <summary>The snapshot being read.</summary>
    public SnapshotState? Snapshot { get; private set; }

    internal void Begin(SnapshotState snapshot)
    {
        Snapshot = snapshot;
        Status = ReadStatus.Reading;
    }

    internal void Add(ReadSegment segment) => _segments.Add(segment);

    internal void Fail(ReadStatus why)
    {
        _segments.Clear();
        Status = why;
    }

    internal void Done() => Status = ReadStatus.Done;

    /// <summary>Empties the plan for the next round and answers what the last round read.</summary>
    internal List<ReadSegment> TurnOver()
    {
        (_segments, _checked) = (_checked, _segments);
        _segments.Clear();
        return _checked;
    }

    internal void End()
    {
        _segments.Clear();
        Snapshot = null;
        Status = ReadStatus.Idle;
    }
}
