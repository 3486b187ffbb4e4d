using Quench.Blocks;

namespace Quench.Tests.Faults;

/// <summary>What a call to a device was about.</summary>
public enum DeviceCall
{
    Read,
    Write,
    Zero,
    Discard,
    Flush,
    Map,
}

/// <summary>
/// A device that fails the Nth call of a kind, once or from then on. Run N = 1, 2, … until nothing fails any more, and every place
/// where a caller meets a failing disk has been visited. Owns the device below.
/// </summary>
/// <param name="inner">The device that would have done it.</param>
/// <param name="kind">Which calls count; null for all.</param>
/// <param name="failAt">Which of them fails, counted from 1.</param>
/// <param name="lasting">Whether all later ones fail too.</param>
public sealed class FaultyDevice(IBlockDevice inner, DeviceCall? kind, long failAt, bool lasting = false) : IBlockDevice
{
    private long _calls;
    private long _failures;

    /// <summary>Calls of the kind so far.</summary>
    public long Calls => Volatile.Read(ref _calls);

    /// <summary>Whether anything was made to fail.</summary>
    public bool HasFailed => Volatile.Read(ref _failures) > 0;

    /// <inheritdoc/>
    public BlockGeometry Geometry => inner.Geometry;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        Strike(DeviceCall.Read) is { } fault ? ValueTask.FromException(fault) : inner.ReadAsync(offset, into, cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
        Strike(DeviceCall.Write) is { } fault ? ValueTask.FromException(fault) : inner.WriteAsync(offset, source, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken) =>
        Strike(DeviceCall.Zero) is { } fault ? ValueTask.FromException(fault) : inner.ZeroAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken) =>
        Strike(DeviceCall.Discard) is { } fault ? ValueTask.FromException(fault) : inner.DiscardAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) =>
        Strike(DeviceCall.Flush) is { } fault ? ValueTask.FromException(fault) : inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) =>
        Strike(DeviceCall.Map) is { } fault
            ? ValueTask.FromException<IReadOnlyList<MappedExtent>>(fault)
            : inner.MapAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private IOException? Strike(DeviceCall call)
    {
        if (kind is not null && kind != call)
        {
            return null;
        }

        long number = Interlocked.Increment(ref _calls);
        if (number != failAt && !(lasting && number > failAt))
        {
            return null;
        }

        Interlocked.Increment(ref _failures);
        return new IOException($"injected: {call} number {number}");
    }
}
