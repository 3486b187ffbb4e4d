using Quench.Blocks;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// The part of a volume that was copied while its writers were held, in locked memory. The memory is taken before anything is frozen. Filled once, by one
/// thread; readable from many after that.
/// </summary>
internal sealed class HeldRest : IBlockReader
{
    private const int TransferBytes = 1 << 20;

    private static readonly Comparer<(Extent Extent, int Place)> s_byOffset = Comparer<(Extent Extent, int Place)>.Create((a, b) => a.Extent.Offset.CompareTo(b.Extent.Offset));

    private readonly NativeBuffer _memory;
    private readonly List<(Extent Extent, int Place)> _parts = []; // in order, apart from each other

    /// <summary>Takes the memory.</summary>
    /// <param name="geometry">The volume's.</param>
    /// <param name="room">The most that can be held, in bytes.</param>
    public HeldRest(BlockGeometry geometry, long room)
    {
        Geometry = geometry;
        _memory = new NativeBuffer(checked((int)room), locked: true);
    }

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; }

    /// <summary>Bytes of memory.</summary>
    public long Room => _memory.Length;

    /// <summary>Copies what is wanted, anew if it has been done before.</summary>
    /// <param name="volume">Where from.</param>
    /// <param name="wanted">No more than there is room for.</param>
    public async ValueTask FillAsync(IBlockReader volume, UsedBlocks wanted)
    {
        _parts.Clear();
        int place = 0;
        foreach (Extent run in wanted.Runs())
        {
            _parts.Add((run, place));
            for (long done = 0; done < run.Length; done += TransferBytes)
            {
                int length = (int)Math.Min(TransferBytes, run.Length - done);
                await volume.ReadAsync(run.Offset + done, _memory.Memory.Slice(place, length), CancellationToken.None); // the writers wait: it is not given up halfway
                place += length;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Extent asked = new(offset, into.Length);
        int found = _parts.BinarySearch((asked, 0), s_byOffset);
        int part = found >= 0 ? found : ~found - 1;
        if (part < 0 || !_parts[part].Extent.Contains(asked))
        {
            throw new ArgumentOutOfRangeException(nameof(offset), asked, "this part of the volume was not copied while its writers were held");
        }

        (Extent extent, int place) = _parts[part];
        _memory.GetSpan().Slice(place + (int)(offset - extent.Offset), into.Length).CopyTo(into.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken) => ValueTask.FromResult(ExtentMap.AllData(range));

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        ((IDisposable)_memory).Dispose();
        return ValueTask.CompletedTask;
    }
}
