namespace Quench.Blocks.Devices;

/// <summary>Shows one extent of a device as a device of its own. Owns the whole.</summary>
/// <param name="whole">What it is a part of; disposed with the slice.</param>
/// <param name="part">Which part: within the whole, beginning at a sector.</param>
public sealed class WritableSlice(IBlockDevice whole, Extent part) : Slice(whole, part), IBlockDevice
{
    private readonly IBlockDevice _whole = whole;

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
        _whole.WriteAsync(Part.Translate(offset, source.Length), source, cancellationToken);

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken) => _whole.ZeroAsync(Translate(range), cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken) => _whole.DiscardAsync(Translate(range), cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => _whole.FlushAsync(cancellationToken);
}
