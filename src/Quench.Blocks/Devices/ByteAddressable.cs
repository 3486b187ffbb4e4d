using Quench.Blocks.Buffers;

namespace Quench.Blocks.Devices;

/// <summary>
/// Lets any byte of a reader be addressed: what is not made of whole sectors is read with the sectors around it. For clients that can't be told
/// about sectors. Owns the reader.
/// </summary>
public class ByteAddressable : IBlockReader
{
    private const int EdgeSize = 64 * 1024;

    private readonly IBlockReader _reader;
    private readonly int _sector;

    /// <summary>Wraps a reader.</summary>
    /// <param name="reader">The reader; disposed with this one.</param>
    public ByteAddressable(IBlockReader reader)
    {
        _reader = reader;
        _sector = reader.Geometry.SectorSize;
        Edges = new AlignedBufferPool(Math.Max(EdgeSize, 2 * _sector), maxRetained: 8);
        Geometry = new BlockGeometry(reader.Geometry.Length, 1);
    }

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; }

    /// <summary>Room for a part of a transfer and the sectors around it.</summary>
    private protected AlignedBufferPool Edges { get; }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, into.Length);
        return IsWhole(new Extent(offset, into.Length)) ? _reader.ReadAsync(offset, into, cancellationToken) : ReadPartsAsync(offset, into, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        IReadOnlyList<MappedExtent> map = await _reader.MapAsync(Sectors(range), cancellationToken);
        return [.. map.Select(entry => entry with { Extent = entry.Extent.Intersect(range) }).Where(entry => !entry.Extent.IsEmpty)];
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        Edges.Dispose();
        return _reader.DisposeAsync();
    }

    /// <summary>The sectors that a range touches.</summary>
    private protected Extent Sectors(Extent range) => range.AlignOut(_sector).Intersect(Geometry.Whole);

    /// <summary>Whether a range is made of whole sectors.</summary>
    private protected bool IsWhole(Extent range) => Sectors(range) == range;

    /// <summary>The whole sectors of a range; empty when it has none.</summary>
    private protected Extent Inner(Extent range)
    {
        long first = (range.Offset + _sector - 1) / _sector * _sector;
        long last = range.End == Geometry.Length ? range.End : range.End / _sector * _sector;
        return first < last ? Extent.FromTo(first, last) : default;
    }

    /// <summary>How much of what is left fits one edge buffer together with the start of its first sector.</summary>
    private protected int NextPart(long offset, int left) => Math.Min(left, Edges.BufferLength - (int)(offset % _sector));

    private async ValueTask ReadPartsAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        using BufferLease buffer = Edges.Rent();
        for (int done = 0; done < into.Length;)
        {
            int part = NextPart(offset + done, into.Length - done);
            Extent sectors = Sectors(new Extent(offset + done, part));
            await _reader.ReadAsync(sectors.Offset, buffer.Memory[..(int)sectors.Length], cancellationToken);
            buffer.Memory.Slice((int)(offset + done - sectors.Offset), part).CopyTo(into[done..]);
            done += part;
        }
    }
}
