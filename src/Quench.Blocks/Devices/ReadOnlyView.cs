namespace Quench.Blocks.Devices;

/// <summary>Shows a device to somebody who must not write it: there is no door to write through, whatever they cast it to. Owns it.</summary>
/// <param name="device">What is shown; disposed with this.</param>
public sealed class ReadOnlyView(IBlockReader device) : IBlockReader
{
    /// <inheritdoc/>
    public BlockGeometry Geometry => device.Geometry;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        device.ReadAsync(offset, into, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
        device.MapAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => device.DisposeAsync();
}
