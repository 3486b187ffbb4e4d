using Quench.Blocks;
using Quench.Snapshots;

namespace Quench.SystemTests.DiffAreaTrouble;

/// <summary>A snapshot whose imaging is busy elsewhere: from some read on, reads wait until they are let, or cancelled.</summary>
internal sealed class HeldBackSnapshot(ISnapshot inner, int freeReads) : ISnapshot, IBlockReader
{
    private readonly TaskCompletionSource _let = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _reads;

    public string Volume => inner.Volume;

    public string Provider => inner.Provider;

    public DateTimeOffset Instant => inner.Instant;

    public SnapshotGrade Grade => inner.Grade;

    public TimeSpan? FreezeTime => inner.FreezeTime;

    public SnapshotTimes? Times => inner.Times;

    public IBlockReader Reader => this;

    public BlockGeometry Geometry => inner.Reader.Geometry;

    /// <summary>Imaging goes on.</summary>
    internal void Let() => _let.TrySetResult();

    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _reads) > freeReads)
        {
            await _let.Task.WaitAsync(cancellationToken);
        }

        await inner.Reader.ReadAsync(offset, into, cancellationToken);
    }

    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => inner.Reader.MapAsync(range, cancellationToken);

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => inner.KeepOnlyAsync(used, cancellationToken);

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => inner.ReleaseAsync(imaged, cancellationToken);

    public Task<DiffAreaStatus> WaitUntilBrokenAsync(CancellationToken cancellationToken) => inner.WaitUntilBrokenAsync(cancellationToken);

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => inner.GetStatusAsync(cancellationToken);

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) => inner.GetSavedExtentsAsync(limit, cancellationToken);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
