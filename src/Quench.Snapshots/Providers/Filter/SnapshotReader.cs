using Quench.Blocks;
using Quench.Blocks.Devices;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>The snapshot's file as a disk. A failed read of a broken snapshot says why it is broken.</summary>
internal sealed class SnapshotReader(ImageFile file, FilterSnapshot snapshot) : IBlockReader
{
    /// <inheritdoc/>
    public BlockGeometry Geometry => file.Geometry;

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        try
        {
            await file.ReadAsync(offset, into, cancellationToken);
        }
        catch (IOException failure)
        {
            if (snapshot.Status().BrokenReason is { } reason)
            {
                throw SnapshotErrors.Broken(snapshot.Volume, reason, failure);
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
        ValueTask.FromResult(ExtentMap.AllData(range));

    /// <summary>Does nothing: the snapshot owns the file.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    internal ValueTask CloseAsync() => file.DisposeAsync();
}
