using System.Collections.Concurrent;
using Quench.Blocks;
using Quench.Snapshots;

namespace Quench.Tests.Imaging;

/// <summary>A snapshot that does what the test's script says, and remembers what was asked of it.</summary>
internal sealed class ScriptedSnapshot : ISnapshot
{
    private readonly ConcurrentQueue<Extent> _released = new();
    private readonly ConcurrentQueue<Extent> _reads = new();
    private readonly TaskCompletionSource<DiffAreaStatus> _broken = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ScriptedSnapshot(IBlockReader content) => Reader = new Watched(content, this);

    /// <summary>Called before each read with its number, from 1. May throw, wait, or change the content.</summary>
    public Func<int, Extent, CancellationToken, ValueTask> BeforeRead { get; set; } = (_, _, _) => ValueTask.CompletedTask;

    /// <summary>How the diff area stands.</summary>
    public Func<DiffAreaStatus> Status { get; set; } = () => default;

    /// <summary>What lies in the diff area.</summary>
    public IReadOnlyList<Extent> Saved { get; set; } = [];

    public IReadOnlyList<Extent> Reads => [.. _reads];

    public IReadOnlyList<Extent> Released => [.. _released];

    public UsedBlocks? Kept { get; private set; }

    public bool IsDisposed { get; private set; }

    public string Volume => "/dev/scripted";

    public string Provider => "scripted";

    public DateTimeOffset Instant { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public SnapshotGrade Grade { get; set; } = SnapshotGrade.FileSystem;

    public TimeSpan? FreezeTime { get; set; } = TimeSpan.FromMilliseconds(12.5);

    public IBlockReader Reader { get; }

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken)
    {
        Kept = used;
        return ValueTask.CompletedTask;
    }

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken)
    {
        _released.Enqueue(imaged);
        return ValueTask.CompletedTask;
    }

    /// <summary>Breaks it; whoever watches is told at once.</summary>
    public void Break(string reason)
    {
        DiffAreaStatus broken = new(0, 0, 0, false, reason);
        Status = () => broken;
        _broken.TrySetResult(broken);
    }

    public Task<DiffAreaStatus> WaitUntilBrokenAsync(CancellationToken cancellationToken) => _broken.Task.WaitAsync(cancellationToken);

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => ValueTask.FromResult(Status());

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<Extent>>([.. Saved.Take(limit)]);

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        return ValueTask.CompletedTask;
    }

    private sealed class Watched(IBlockReader content, ScriptedSnapshot script) : IBlockReader
    {
        private int _count;

        public BlockGeometry Geometry => content.Geometry;

        public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
        {
            Extent extent = new(offset, into.Length);
            script._reads.Enqueue(extent);
            await script.BeforeRead(Interlocked.Increment(ref _count), extent, cancellationToken);
            await content.ReadAsync(offset, into, cancellationToken);
        }

        public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
            content.MapAsync(range, cancellationToken);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
