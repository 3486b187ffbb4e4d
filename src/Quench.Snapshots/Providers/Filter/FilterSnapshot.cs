using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>A snapshot of an attached volume as its requestor holds it: the file for reading and releasing, the conversation for the rest.</summary>
internal sealed partial class FilterSnapshot : ISnapshot, IChangeHistory
{
    private readonly ControlClient _client;
    private readonly SafeFileHandle _file;
    private readonly SnapshotReader _reader;
    private readonly long _volumeLength;
    private readonly string _fileName; // by which a second conversation can name it to the worker
    private int _disposed;

    internal FilterSnapshot(AttachedVolume volume, ControlClient client, string path, DateTimeOffset instant, SnapshotGrade grade, TimeSpan? freezeTime)
    {
        Volume = volume.Name;
        _volumeLength = volume.Length;
        Instant = instant;
        Grade = grade;
        FreezeTime = freezeTime;
        _client = client;
        _fileName = Path.GetFileName(path);
        _file = NativeFile.Open(path, OpenMode.ReadWrite | OpenMode.Direct);
        _reader = new SnapshotReader(ImageFile.Open(path, DeviceAccess.Read, exclusive: false), this);
    }

    /// <inheritdoc/>
    public string Volume { get; }

    /// <inheritdoc/>
    public string Provider => "filter";

    /// <inheritdoc/>
    public DateTimeOffset Instant { get; }

    /// <inheritdoc/>
    public SnapshotGrade Grade { get; }

    /// <inheritdoc/>
    public TimeSpan? FreezeTime { get; }

    /// <inheritdoc/>
    public IReadOnlyList<PartInUse> Parts { get; internal init; } = [];

    /// <inheritdoc/>
    public SnapshotTimes? Times { get; internal set; }

    /// <inheritdoc/>
    public IBlockReader Reader => _reader;

    /// <inheritdoc/>
    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken)
    {
        long position = 0;
        foreach (Extent run in used.Runs())
        {
            cancellationToken.ThrowIfCancellationRequested();
            Drop(position, run.Offset);
            position = run.End;
        }

        Drop(position, used.VolumeLength);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken)
    {
        Demand(NativeFile.TryPunchHole(_file, imaged.Offset, imaged.Length));
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public async Task<DiffAreaStatus> WaitUntilBrokenAsync(CancellationToken cancellationToken)
    {
        try
        {
            using ControlClient watch = ControlClient.Connect(Volume); // a conversation of its own: the other one is busy when it likes
            ControlReply reply = await watch.AskAsync(new ControlRequest { Op = "watch", Path = _fileName }, cancellationToken);
            return StatusOf(reply) is { BrokenReason: not null } broken ? broken : new DiffAreaStatus(0, 0, 0, false, "the filter has let go of it");
        }
        catch (QuenchException)
        {
            return new DiffAreaStatus(0, 0, 0, false, WhyGone()); // the worker has ended, or the one that answers does not know the snapshot
        }
    }

    /// <inheritdoc/>
    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Status());

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken)
    {
        long[] pairs = _client.Ask(new ControlRequest { Op = "saved", Limit = limit }).Extents ?? [];
        Extent[] extents = new Extent[pairs.Length / 2];
        for (int index = 0; index < extents.Length; index++)
        {
            extents[index] = new Extent(pairs[2 * index], pairs[(2 * index) + 1]);
        }

        return ValueTask.FromResult<IReadOnlyList<Extent>>(extents);
    }

    /// <summary>Lets go of the instant. When it ends, the worker has let go too: the next snapshot can be taken.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            await _reader.CloseAsync();
            _file.Dispose();
            End();
            _client.Dispose();
        }
    }

    /// <summary>Why a read failed, when the snapshot is broken: the worker knows.</summary>
    internal DiffAreaStatus Status()
    {
        ControlReply reply;
        try
        {
            reply = _client.Ask(new ControlRequest { Op = "status" });
        }
        catch (QuenchException gone) when (gone.Code == ControlClient.GoneCode)
        {
            return new DiffAreaStatus(0, 0, 0, false, WhyGone());
        }

        Learn(reply.Costs);
        return StatusOf(reply);
    }

    private static DiffAreaStatus StatusOf(ControlReply reply) =>
        new(reply.UsedBytes, reply.CapBytes, reply.PeakBytes, reply.IsNearlyFull, reply.Broken);

    private void Learn(SnapshotCosts? costs)
    {
        if (costs is not null && Times is { } times)
        {
            Times = times with
            {
                SaveWait = TimeSpan.FromMilliseconds(costs.SaveWait),
                Handling = TimeSpan.FromMilliseconds(costs.Handling),
                Hold = costs.Hold is { } held ? TimeSpan.FromMilliseconds(held) : null,
            };
        }
    }

    /// <summary>The snapshot lived in its worker and has ended with it; the one that serves now knows what became of that.</summary>
    private string WhyGone()
    {
        VolumeSupervision? now = FilterVolumes.Find(Volume) is { State: AttachmentState.Serving } volume ? FilterVolumes.GetSupervision(volume) : null;
        return now?.LastChange is { } change ? $"{change}, and the snapshot ended with it" : "the filter's worker died, and the snapshot ended with it";
    }

    private void End()
    {
        try
        {
            long since = Stopwatch.GetTimestamp();
            SnapshotCosts? costs = _client.Ask(new ControlRequest { Op = "end" }).Costs;
            Learn(costs);
            if (costs?.GiveBack is not null && Times is { } times)
            {
                Times = times with { Idle = Stopwatch.GetElapsedTime(since) };
            }
        }
        catch (QuenchException)
        {
            // The worker is gone, and the snapshot with it.
        }
    }

    private void Drop(long from, long to)
    {
        if (to > from)
        {
            Demand(NativeFile.TryZeroRange(_file, from, to - from));
        }
    }

    /// <summary>The worker always knows how; a kernel that does not pass it on would let the diff area grow unseen.</summary>
    private void Demand(bool passedOn)
    {
        if (!passedOn)
        {
            throw new NotSupportedException($"this kernel does not pass holes in the snapshot of {Volume} on to the filter");
        }
    }
}
