using Quench.Blocks.Buffers;

namespace Quench.Blocks.Devices;

/// <summary>
/// A device that can be written over one that must not be: writes go to the top, reads find the top's blocks where there are any and
/// the bottom's elsewhere. The first write to a part of a block carries the rest of the block up with it.
/// </summary>
/// <remarks>
/// What is on the top is known only here, by a bitmap in memory: an overlay is as lasting as this object. Flushing flushes the top.
/// Owns both devices.
/// </remarks>
public sealed class Overlay : IBlockDevice
{
    private readonly IBlockReader _bottom;
    private readonly IBlockDevice _top;
    private readonly int _blockSize;
    private readonly AlignedBufferPool _blocks;
    private readonly RangeLedger _writing = new(); // whole blocks: two writers of one block must not both carry it up

    private readonly Lock _gate = new();           // guards the one below
    private readonly BlockBitmap _onTop;           // blocks whose bytes, all of them, are on the top

    /// <summary>Lays a device over a reader.</summary>
    /// <param name="bottom">What shows through; never written.</param>
    /// <param name="top">Takes the writes; as long as the bottom. Its present content is not looked at.</param>
    /// <param name="blockSize">What is carried up at once; a power of two and a multiple of both sector sizes.</param>
    public Overlay(IBlockReader bottom, IBlockDevice top, int blockSize = 4096)
    {
        int sector = Math.Max(bottom.Geometry.SectorSize, top.Geometry.SectorSize);
        if (blockSize < sector || (blockSize & (blockSize - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(blockSize), blockSize, $"a block is a power of two and at least a sector ({sector} bytes)");
        }

        if (top.Geometry.Length != bottom.Geometry.Length)
        {
            throw new ArgumentException($"the top has {top.Geometry.Length} bytes and the bottom {bottom.Geometry.Length}", nameof(top));
        }

        _bottom = bottom;
        _top = top;
        _blockSize = blockSize;
        _blocks = new AlignedBufferPool(blockSize, maxRetained: 8);
        _onTop = new BlockBitmap((bottom.Geometry.Length + blockSize - 1) / blockSize);
        Geometry = new BlockGeometry(bottom.Geometry.Length, sector);
    }

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; }

    /// <summary>Bytes that the top holds, in whole blocks.</summary>
    public long BytesOnTop
    {
        get
        {
            lock (_gate)
            {
                return _onTop.CountSet() * _blockSize;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, into.Length);
        Run first = NextRun(new Extent(offset, into.Length));
        return first.Extent.Length == into.Length
            ? Side(first.OnTop).ReadAsync(offset, into, cancellationToken)
            : ReadRunsAsync(offset, into, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        Extent range = new(offset, source.Length);
        using RangeLedger.Hold hold = await HoldBlocksAsync(range, cancellationToken);
        await CarryUpEdgesAsync(range, cancellationToken);
        await _top.WriteAsync(offset, source, cancellationToken);
        MarkOnTop(range);
    }

    /// <inheritdoc/>
    public async ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
    {
        using RangeLedger.Hold hold = await HoldBlocksAsync(range, cancellationToken);
        await CarryUpEdgesAsync(range, cancellationToken);
        await _top.ZeroAsync(range, cancellationToken);
        MarkOnTop(range);
    }

    /// <summary>Does nothing: the bottom must stay, and what the top holds hides it.</summary>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => _top.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        ExtentSet data = [];
        for (Extent rest = range; !rest.IsEmpty;)
        {
            Run run = NextRun(rest);
            foreach (MappedExtent entry in await Side(run.OnTop).MapAsync(run.Extent, cancellationToken))
            {
                if (entry.Kind == ExtentKind.Data)
                {
                    data.Add(entry.Extent);
                }
            }

            rest = Extent.FromTo(run.Extent.End, rest.End);
        }

        return ExtentMap.FromData(data, range);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _blocks.Dispose();
        await _top.DisposeAsync();
        await _bottom.DisposeAsync();
    }

    private IBlockReader Side(bool onTop) => onTop ? _top : _bottom;

    private async ValueTask ReadRunsAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        for (Extent rest = new(offset, into.Length); !rest.IsEmpty;)
        {
            Run run = NextRun(rest);
            Memory<byte> part = into.Slice((int)(run.Extent.Offset - offset), (int)run.Extent.Length);
            await Side(run.OnTop).ReadAsync(run.Extent.Offset, part, cancellationToken);
            rest = Extent.FromTo(run.Extent.End, rest.End);
        }
    }

    /// <summary>The longest start of a range that lies all on one side.</summary>
    private Run NextRun(Extent range)
    {
        if (range.IsEmpty)
        {
            return new Run(range, OnTop: false);
        }

        lock (_gate)
        {
            long block = range.Offset / _blockSize;
            bool onTop = _onTop[block];
            long change = onTop ? _onTop.NextClear(block) : _onTop.NextSet(block);
            long end = change < 0 ? range.End : Math.Min(range.End, change * _blockSize);
            return new Run(Extent.FromTo(range.Offset, end), onTop);
        }
    }

    private ValueTask<RangeLedger.Hold> HoldBlocksAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        return _writing.HoldAsync(range.AlignOut(_blockSize), cancellationToken);
    }

    /// <summary>Copies the blocks up that a range covers only in part, unless they are on the top already.</summary>
    private async ValueTask CarryUpEdgesAsync(Extent range, CancellationToken cancellationToken)
    {
        if (range.IsEmpty)
        {
            return;
        }

        long first = range.Offset / _blockSize;
        long last = (range.End - 1) / _blockSize;
        await CarryUpIfPartialAsync(first, range, cancellationToken);
        if (last != first)
        {
            await CarryUpIfPartialAsync(last, range, cancellationToken);
        }
    }

    private async ValueTask CarryUpIfPartialAsync(long block, Extent range, CancellationToken cancellationToken)
    {
        Extent whole = new Extent(block * _blockSize, _blockSize).Intersect(Geometry.Whole);
        if (range.Contains(whole) || NextRun(whole).OnTop)
        {
            return;
        }

        using BufferLease buffer = _blocks.Rent();
        Memory<byte> bytes = buffer.Memory[..(int)whole.Length];
        await _bottom.ReadAsync(whole.Offset, bytes, cancellationToken);
        await _top.WriteAsync(whole.Offset, bytes, cancellationToken);
    }

    private void MarkOnTop(Extent range)
    {
        if (range.IsEmpty)
        {
            return;
        }

        lock (_gate)
        {
            long first = range.Offset / _blockSize;
            _onTop.SetRange(first, ((range.End - 1) / _blockSize) - first + 1);
        }
    }

    private readonly record struct Run(Extent Extent, bool OnTop);
}
