using System.Runtime.CompilerServices;
using Quench.Blocks.Buffers;

namespace Quench.Blocks.Devices;

/// <summary>Lets any byte of a device be written as well: what is not made of whole sectors is written with the sectors around it. Owns the device.</summary>
/// <remarks>
/// A write that covers a sector in part reads it first and writes it back; every writer holds the sectors it touches meanwhile, so two writes to
/// halves of one sector both survive. Whole sectors are passed on as they are.
/// </remarks>
/// <param name="device">The device; disposed with this one.</param>
public sealed class WritableByteAddressable(IBlockDevice device) : ByteAddressable(device), IBlockDevice
{
    private readonly IBlockDevice _device = device;
    private readonly RangeLedger _writing = new(); // whole sectors

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, source.Length);
        Extent range = new(offset, source.Length);
        using RangeLedger.Hold hold = await _writing.HoldAsync(Sectors(range), cancellationToken);
        if (IsWhole(range))
        {
            await _device.WriteAsync(offset, source, cancellationToken);
            return;
        }

        for (int done = 0; done < source.Length;)
        {
            int part = NextPart(offset + done, source.Length - done);
            await WritePartAsync(offset + done, source.Slice(done, part), cancellationToken);
            done += part;
        }
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        Extent inner = Inner(range);
        using RangeLedger.Hold hold = await _writing.HoldAsync(Sectors(range), cancellationToken);
        if (!inner.IsEmpty)
        {
            await _device.ZeroAsync(inner, cancellationToken);
        }

        Extent head = inner.IsEmpty ? range : Extent.FromTo(range.Offset, inner.Offset);
        Extent tail = inner.IsEmpty ? default : Extent.FromTo(inner.End, range.End);
        await ZeroEdgeAsync(head, cancellationToken);
        await ZeroEdgeAsync(tail, cancellationToken);
    }

    /// <inheritdoc/>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Geometry.Check(range.Offset, range.Length);
        Extent inner = Inner(range);
        if (!inner.IsEmpty)
        {
            using RangeLedger.Hold hold = await _writing.HoldAsync(inner, cancellationToken);
            await _device.DiscardAsync(inner, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => _device.FlushAsync(cancellationToken);

    private async ValueTask WritePartAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        using BufferLease buffer = Edges.Rent();
        Extent sectors = Sectors(new Extent(offset, source.Length));
        Memory<byte> bytes = buffer.Memory[..(int)sectors.Length];
        await _device.ReadAsync(sectors.Offset, bytes, cancellationToken);
        source.CopyTo(bytes[(int)(offset - sectors.Offset)..]);
        await _device.WriteAsync(sectors.Offset, bytes, cancellationToken);
    }

    /// <summary>Less than a sector, or two halves of neighbours.</summary>
    private ValueTask ZeroEdgeAsync(Extent edge, CancellationToken cancellationToken) =>
        edge.IsEmpty ? ValueTask.CompletedTask : WritePartAsync(edge.Offset, new byte[edge.Length], cancellationToken);
}
