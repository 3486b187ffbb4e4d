using Quench.Blocks;
using Quench.Blocks.Devices;

namespace Quench.Imaging.Recovery;

/// <summary>
/// A window on an image of a disk in which some bytes are others: the partition table as a disk of another size has it. Behind the image's end it goes on with zeros. What its map calls
/// data begins and ends on a coarse grid, so that whoever copies it writes whole sectors wherever the window begins.
/// </summary>
/// <param name="image">Any byte of it can be addressed; lent.</param>
/// <param name="window">What is shown; may reach beyond the image's end.</param>
/// <param name="patches">Bytes and where on the disk they lie; a later one over an earlier one.</param>
internal sealed class FittedImage(ByteAddressable image, Extent window, IReadOnlyList<(long Offset, byte[] Bytes)> patches) : IBlockReader
{
    private const int Grid = 64 * 1024;

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; } = new(window.Length, 1);

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Extent wanted = new(window.Translate(offset, into.Length), into.Length);
        Extent there = wanted.Intersect(image.Geometry.Whole);
        into.Span.Clear();
        if (!there.IsEmpty)
        {
            await image.ReadAsync(there.Offset, into[..(int)there.Length], cancellationToken);
        }

        foreach ((long at, byte[] bytes) in patches)
        {
            Extent both = wanted.Intersect(new Extent(at, bytes.Length));
            if (!both.IsEmpty)
            {
                bytes.AsSpan((int)(both.Offset - at), (int)both.Length).CopyTo(into.Span[(int)(both.Offset - wanted.Offset)..]);
            }
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        Extent wanted = new(window.Translate(range.Offset, range.Length), range.Length);
        Extent there = wanted.Intersect(image.Geometry.Whole);
        ExtentSet data = [];
        if (!there.IsEmpty)
        {
            foreach (MappedExtent part in (await image.MapAsync(there, cancellationToken)).Where(part => part.Kind == ExtentKind.Data))
            {
                Add(data, part.Extent);
            }
        }

        foreach ((long at, byte[] bytes) in patches)
        {
            Add(data, new Extent(at, bytes.Length).Intersect(wanted));
        }

        return ExtentMap.FromData(data, range);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Add(ExtentSet data, Extent onDisk)
    {
        if (!onDisk.IsEmpty)
        {
            data.Add(new Extent(onDisk.Offset - window.Offset, onDisk.Length).AlignOut(Grid).Intersect(Geometry.Whole));
        }
    }
}
