using Quench.Blocks;

namespace Quench.Snapshots.Providers.Cold;

/// <summary>A volume at rest: the origin itself, held open. It keeps no diff area, so nothing can break it and there is nothing to free.</summary>
internal sealed class ColdSnapshot(string volume, IBlockReader origin, SnapshotGrade grade, DateTimeOffset instant) : ISnapshot
{
    public string Volume => volume;

    public string Provider => "cold";

    public DateTimeOffset Instant => instant;

    public SnapshotGrade Grade => grade;

    public TimeSpan? FreezeTime => null;

    public IBlockReader Reader => origin;

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => ValueTask.FromResult(default(DiffAreaStatus));

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<Extent>>([]);

    public ValueTask DisposeAsync() => origin.DisposeAsync();
}
