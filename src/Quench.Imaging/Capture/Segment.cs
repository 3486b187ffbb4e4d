using System.Threading.Channels;
using Quench.Blocks;
using Quench.Blocks.Buffers;

namespace Quench.Imaging.Capture;

/// <summary>
/// A run of chunks on its way through the stages, in one aligned buffer. It has one owner at a time, the stage that it has
/// been handed to; <see cref="LetGo"/> returns it to its pool.
/// </summary>
internal sealed class Segment(SegmentPool pool, BufferLease buffer)
{
    /// <summary>Where on the volume it lies.</summary>
    public Extent Extent { get; private set; }

    /// <summary>Its bytes.</summary>
    public Memory<byte> Bytes => buffer.Memory[..(int)Extent.Length];

    /// <summary>Gives it a place on the volume.</summary>
    public void Load(Extent extent) => Extent = extent;

    /// <summary>Ends its use; its bytes belong to somebody else then.</summary>
    public void LetGo() => pool.Return(this);

    internal void Free() => buffer.Dispose();
}

/// <summary>All the segments there are: their number bounds the memory of a capture. Thread-safe.</summary>
internal sealed class SegmentPool : IDisposable
{
    private readonly AlignedBufferPool _buffers;
    private readonly List<Segment> _all = [];
    private readonly Channel<Segment> _free;

    /// <summary>Makes the segments.</summary>
    /// <param name="count">How many.</param>
    /// <param name="segmentBytes">Bytes of each.</param>
    public SegmentPool(int count, int segmentBytes)
    {
        _buffers = new AlignedBufferPool(segmentBytes, count);
        _free = Channel.CreateBounded<Segment>(count);
        for (int made = 0; made < count; made++)
        {
            Segment segment = new(this, _buffers.Rent());
            _all.Add(segment);
            Return(segment);
        }
    }

    /// <summary>Segments that nobody holds.</summary>
    public int FreeCount => _free.Reader.Count;

    /// <summary>Takes a segment, waiting until one is free. The caller loads it and lets go of it.</summary>
    public ValueTask<Segment> TakeAsync(CancellationToken cancellationToken) => _free.Reader.ReadAsync(cancellationToken);

    /// <inheritdoc/>
    public void Dispose()
    {
        _all.ForEach(segment => segment.Free());
        _buffers.Dispose();
    }

    internal void Return(Segment segment)
    {
        if (!_free.Writer.TryWrite(segment))
        {
            throw new InvalidOperationException("a segment was returned twice");
        }
    }
}
