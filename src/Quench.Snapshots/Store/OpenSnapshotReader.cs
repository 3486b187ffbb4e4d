using Quench.Blocks;
using Quench.Blocks.Devices;

namespace Quench.Snapshots.Store;

/// <summary>Reads a snapshot's file, and says why when that fails because the snapshot has gone.</summary>
internal sealed class OpenSnapshotReader(ImageFile file, OpenSnapshot snapshot) : IBlockReader
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
            throw snapshot.Explain(failure);
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
        ValueTask.FromResult(ExtentMap.AllData(range));

    /// <summary>Does nothing: the file belongs to the open snapshot.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
