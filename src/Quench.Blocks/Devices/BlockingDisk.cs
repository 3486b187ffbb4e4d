namespace Quench.Blocks.Devices;

/// <summary>
/// A disk whose transfers run on the calling thread and are done when the call returns. For callers that have threads of their own for them: it spares each
/// transfer the way to another thread and back. Owns the disk.
/// </summary>
/// <param name="disk">The disk; disposed with this.</param>
public sealed class BlockingDisk(Disk disk) : IBlockDevice
{
    /// <inheritdoc/>
    public BlockGeometry Geometry => disk.Geometry;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.Read(offset, into.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.Write(offset, source.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.Zero(range);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _ = disk.TryDiscard(range); // doing nothing is allowed
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        disk.Flush();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => disk.MapAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => disk.DisposeAsync();
}
