using Quench.Blocks;
using Quench.Blocks.Buffers;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.Snapshots.Engine;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// A snapshot as a file: reading it gives the volume at the instant. It can't be written; the two ways of making a hole in it are the reader's
/// way to tell the engine what it no longer needs, so that any program can use the snapshot and only a careful one pays less.
/// </summary>
/// <remarks>
/// <code>
/// fallocate(FALLOC_FL_ZERO_RANGE)                        was not in use at the instant: reads as zeros from now on
/// fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)  imaged: its saved blocks are freed, reading it again is EIO
/// </code>
/// </remarks>
internal sealed class SnapshotFile(FilterVolume volume, ActiveSnapshot snapshot) : IFuseFile
{
    private const long LockedStepBytes = 64L << 20; // how much is dropped or released in one hold of the lock

    // for readers that do not ask in whole sectors
    private static readonly AlignedBufferPool s_bounce = new(FuseSession.MaxTransfer + (2 * 4096), maxRetained: 2);

    /// <inheritdoc/>
    public long Length => volume.Length;

    /// <summary>True, because a hole can only be made in a file that is open for writing. Its bytes can't be written.</summary>
    public bool IsWritable => true;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into)
    {
        int sector = volume.Origin.Geometry.SectorSize;
        Extent asked = new(offset, into.Length);
        Extent aligned = asked.AlignOut(sector);
        if (aligned == asked || aligned.End > Length)
        {
            ReadAligned(offset, into);
            return;
        }

        using BufferLease bounce = s_bounce.Rent();
        Span<byte> whole = bounce.Span[..(int)aligned.Length];
        ReadAligned(aligned.Offset, whole);
        whole.Slice((int)(offset - aligned.Offset), into.Length).CopyTo(into);
    }

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source) => throw new LinuxErrorException(Errno.EROFS, "write to a snapshot", null);

    /// <inheritdoc/>
    public void Flush()
    {
    }

    /// <inheritdoc/>
    public void PunchHole(Extent range) => InSteps(range, step => volume.WithEngine(engine => engine.Release(snapshot.State, step)));

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => InSteps(range, step => volume.WithEngine(engine => engine.DropUnused(snapshot.State, step)));

    private static void InSteps(Extent range, Action<Extent> action)
    {
        for (long at = range.Offset; at < range.End; at += LockedStepBytes)
        {
            action(new Extent(at, Math.Min(LockedStepBytes, range.End - at)));
        }
    }

    private void ReadAligned(long offset, Span<byte> into)
    {
        ReadPlan plan = volume.BeginRead(snapshot.State, new Extent(offset, into.Length));
        try
        {
            ReadStatus status = plan.Status;
            while (status == ReadStatus.Reading)
            {
                for (int index = 0; index < plan.Segments.Count; index++)
                {
                    ReadSegment segment = plan.Segments[index];
                    Fill(segment, into.Slice((int)(segment.Extent.Offset - offset), (int)segment.Extent.Length));
                }

                status = volume.RecheckRead(plan);
            }

            Demand(status, offset, into.Length);
        }
        finally
        {
            volume.EndRead(plan);
        }
    }

    private void Fill(ReadSegment segment, Span<byte> into)
    {
        switch (segment.Source)
        {
            case ReadSource.Zero:
                into.Clear();
                break;
            case ReadSource.Origin:
                volume.Origin.Read(segment.Extent.Offset, into);
                break;
            default:
                ReadSaved(segment, into);
                break;
        }
    }

    private void ReadSaved(ReadSegment segment, Span<byte> into)
    {
        try
        {
            snapshot.Store.Read(segment.FirstSlot, (int)(segment.Extent.Offset % volume.BlockSize), into);
        }
        catch (IOException failure)
        {
            // An old block that can't be read back is lost, and nobody but the snapshot pays. Whoever is told of the failed read finds the reason there already.
            volume.Break(snapshot, $"an old block could not be read back: {failure.Message}");
            throw;
        }
    }

    private void Demand(ReadStatus status, long offset, int length)
    {
        string? trouble = status switch
        {
            ReadStatus.Done => null,
            ReadStatus.Released => "the blocks were released as imaged",
            ReadStatus.Broken => $"the snapshot is broken: {snapshot.State.Broken?.Detail}",
            _ => "the snapshot has ended",
        };
        if (trouble is not null)
        {
            throw new LinuxErrorException(status == ReadStatus.Ended ? Errno.ENODEV : Errno.EIO, $"read {length} bytes of a snapshot at {offset} ({trouble})", null);
        }
    }
}
