using Quench.Blocks;

namespace Quench.Tests.Faults;

/// <summary>
/// A device whose reads wait at the door until the test lets them in: for interleavings that must happen exactly so.
/// Everything else passes. Owns the device below.
/// </summary>
/// <param name="inner">The device that answers in the end.</param>
public sealed class HeldDevice(IBlockDevice inner) : IBlockDevice
{
    private readonly TaskCompletionSource _arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _released = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when the first read stands at the door.</summary>
    public Task Arrived => _arrived.Task;

    /// <inheritdoc/>
    public BlockGeometry Geometry => inner.Geometry;

    /// <summary>Opens the door, for good.</summary>
    public void Release() => _released.TrySetResult();

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        _arrived.TrySetResult();
        await _released.Task.WaitAsync(cancellationToken);
        await inner.ReadAsync(offset, into, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
        inner.WriteAsync(offset, source, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken) => inner.ZeroAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken) => inner.DiscardAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
        inner.MapAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
