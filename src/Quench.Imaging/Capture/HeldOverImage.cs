using Quench.Blocks;
using Quench.Snapshots;

namespace Quench.Imaging.Capture;

/// <summary>
/// The last pass of a capture in passes, as a snapshot to read: the image so far, and over it the blocks that were copied while writers were held. So only those blocks had to be copied
/// then, and not the whole chunks that they lie in. Thread-safe as both are.
/// </summary>
internal sealed class HeldOverImage(ISnapshot snapshot, IBlockReader image, UsedBlocks held) : ISnapshot, IBlockReader
{
    public string Volume => snapshot.Volume;

    public string Provider => snapshot.Provider;

    public DateTimeOffset Instant => snapshot.Instant;

    public SnapshotGrade Grade => snapshot.Grade;

    public TimeSpan? FreezeTime => snapshot.FreezeTime;

    public IBlockReader Reader => this;

    public BlockGeometry Geometry => snapshot.Reader.Geometry;

    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        await image.ReadAsync(offset, into, cancellationToken);
        long end = ((offset + into.Length - 1) / held.BlockSize) + 1;
        for (long block = held.Bits.NextSet(offset / held.BlockSize, end); block < end;)
        {
            long clear = held.Bits.NextClear(block, end);
            Extent part = Extent.FromTo(block * held.BlockSize, clear * held.BlockSize).Intersect(new Extent(offset, into.Length));
            await snapshot.Reader.ReadAsync(part.Offset, into.Slice((int)(part.Offset - offset), (int)part.Length), cancellationToken);
            block = held.Bits.NextSet(clear, end);
        }
    }

    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => ValueTask.FromResult(ExtentMap.AllData(range));

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => snapshot.KeepOnlyAsync(used, cancellationToken);

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => snapshot.ReleaseAsync(imaged, cancellationToken);

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => snapshot.GetStatusAsync(cancellationToken);

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) => snapshot.GetSavedExtentsAsync(limit, cancellationToken);

    /// <summary>Lets go of the image; the snapshot stays its owner's.</summary>
    public ValueTask DisposeAsync() => image.DisposeAsync();
}
