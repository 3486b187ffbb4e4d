namespace Quench.Blocks.Devices;

/// <summary>Shows one extent of a reader as a reader of its own: a partition of a disk. Owns the whole.</summary>
public class Slice : IBlockReader
{
    private readonly IBlockReader _whole;

    /// <summary>Shows a part.</summary>
    /// <param name="whole">What it is a part of; disposed with the slice.</param>
    /// <param name="part">Which part: within the whole, beginning at a sector.</param>
    public Slice(IBlockReader whole, Extent part)
    {
        whole.Geometry.Check(part.Offset, part.Length);
        _whole = whole;
        Part = part;
    }

    /// <summary>Where the slice lies in the whole.</summary>
    public Extent Part { get; }

    /// <inheritdoc/>
    public BlockGeometry Geometry => _whole.Geometry with { Length = Part.Length };

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken) =>
        _whole.ReadAsync(Part.Translate(offset, into.Length), into, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        IReadOnlyList<MappedExtent> map = await _whole.MapAsync(Translate(range), cancellationToken);
        return [.. map.Select(entry => entry with { Extent = new Extent(entry.Extent.Offset - Part.Offset, entry.Extent.Length) })];
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return _whole.DisposeAsync();
    }

    private protected Extent Translate(Extent range) => new(Part.Translate(range.Offset, range.Length), range.Length);
}
