using System.Threading.Channels;
using Quench.Blocks;
using Quench.Imaging.Activity;
using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>
/// Reads the planned chunks of a snapshot, several large reads in flight, and hands them on. One feeder decides what is read next;
/// the lanes read it. What has been read is released at once, so that the diff area keeps only what is still to come.
/// </summary>
internal sealed class ReadStage(
    ISnapshot snapshot, CapturePlan plan, SegmentPool segments, CaptureSettings settings, bool release, ActivityMonitor activity)
{
    private const int SavedExtentsAtOnce = 1024;

    private readonly Channel<Extent> _next = Channel.CreateBounded<Extent>(
        new BoundedChannelOptions(1) { SingleWriter = true, SingleReader = settings.ReadLanes == 1 });

    /// <summary>Reads everything, then completes the output. After a failure the output is left open: the group ends its readers.</summary>
    public async Task RunAsync(ChannelWriter<Segment> output, CancellationToken cancellationToken)
    {
        IEnumerable<Func<CancellationToken, Task>> lanes =
            Enumerable.Repeat<Func<CancellationToken, Task>>(token => ReadAsync(output, token), settings.ReadLanes);
        await TaskGroup.RunAsync(lanes.Append(FeedAsync), cancellationToken);
        output.Complete();
    }

    private async Task FeedAsync(CancellationToken cancellationToken)
    {
        CaptureOrder order = new(plan, settings.SegmentBytes);
        do
        {
            if (order.IsLookDue)
            {
                await LookAsync(order, cancellationToken);
            }

            if (!order.TryTake(out Extent segment))
            {
                break;
            }

            await _next.Writer.WriteAsync(segment, cancellationToken);
        }
        while (true);

        _next.Writer.Complete();
    }

    /// <summary>Asks how the diff area stands. When nothing will be released, no order of reading helps it.</summary>
    private async Task LookAsync(CaptureOrder order, CancellationToken cancellationToken)
    {
        DiffAreaStatus status = await snapshot.GetStatusAsync(cancellationToken);
        SnapshotTrouble.ThrowIfBroken(snapshot, status, cause: null);
        bool nearlyFull = status.IsNearlyFull && release;
        order.Learn(nearlyFull, nearlyFull ? await snapshot.GetSavedExtentsAsync(SavedExtentsAtOnce, cancellationToken) : []);
    }

    private async Task ReadAsync(ChannelWriter<Segment> output, CancellationToken cancellationToken)
    {
        while (await _next.Reader.WaitToReadAsync(cancellationToken))
        {
            while (_next.Reader.TryRead(out Extent extent))
            {
                Segment segment = await segments.TakeAsync(cancellationToken);
                segment.Load(extent);
                await ReadOneAsync(segment, cancellationToken);
                activity.Add(extent.Length);
                await output.WriteAsync(segment, cancellationToken);
            }
        }
    }

    private async ValueTask ReadOneAsync(Segment segment, CancellationToken cancellationToken)
    {
        try
        {
            await snapshot.Reader.ReadAsync(segment.Extent.Offset, segment.Bytes, cancellationToken);
            if (release)
            {
                await snapshot.ReleaseAsync(segment.Extent, cancellationToken);
            }
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            await SnapshotTrouble.ThrowAsync(snapshot, segment.Extent, failure, cancellationToken);
        }
    }
}
