namespace Quench.Blocks.Devices;

/// <summary>
/// A disk in memory, allocated page by page as it is written: a large one with little on it is small. It reads as zeros at first.
/// Every call completes before it returns.
/// </summary>
public sealed class MemoryDevice : IBlockDevice
{
    private const int PageSize = 64 * 1024;

    private readonly byte[]?[] _pages; // null reads as zeros; a page is put in once and taken out only by zeroing all of it

    /// <summary>A disk of zeros.</summary>
    /// <param name="length">Bytes; need not be whole sectors.</param>
    /// <param name="sectorSize">A power of two; 1 when any byte can be addressed.</param>
    public MemoryDevice(long length, int sectorSize = 512)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if (sectorSize <= 0 || (sectorSize & (sectorSize - 1)) != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(sectorSize), sectorSize, "a sector size is a power of two");
        }

        Geometry = new BlockGeometry(length, sectorSize);
        _pages = new byte[]?[(length / PageSize) + (length % PageSize == 0 ? 0 : 1)];
    }

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; }

    /// <summary>Reads on the calling thread; same contract as <see cref="ReadAsync"/>.</summary>
    public void Read(long offset, Span<byte> into)
    {
        Geometry.Check(offset, into.Length);
        for (int done = 0; done < into.Length;)
        {
            (long page, int start, int length) = Step(offset + done, into.Length - done);
            Span<byte> part = into.Slice(done, length);
            if (Volatile.Read(ref _pages[page]) is { } bytes)
            {
                bytes.AsSpan(start, length).CopyTo(part);
            }
            else
            {
                part.Clear();
            }

            done += length;
        }
    }

    /// <summary>Writes on the calling thread; same contract as <see cref="WriteAsync"/>.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        Geometry.Check(offset, source.Length);
        for (int done = 0; done < source.Length;)
        {
            (long page, int start, int length) = Step(offset + done, source.Length - done);
            source.Slice(done, length).CopyTo(PageForWriting(page).AsSpan(start));
            done += length;
        }
    }

    /// <summary>Makes a range read as zeros and gives back the memory of the pages it covers.</summary>
    public void Zero(Extent range)
    {
        Geometry.Check(range.Offset, range.Length);
        for (long position = range.Offset; position < range.End;)
        {
            (long page, int start, int length) = Step(position, range.End - position);
            if (length == PageSize)
            {
                Volatile.Write(ref _pages[page], null);
            }
            else
            {
                Volatile.Read(ref _pages[page])?.AsSpan(start, length).Clear();
            }

            position += length;
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, into.Length);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        Read(offset, into.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, source.Length);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        Write(offset, source.Span);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled(cancellationToken);
        }

        Zero(range);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken) => ZeroAsync(range, cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) =>
        cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        cancellationToken.ThrowIfCancellationRequested();
        ExtentSet data = [];
        for (long position = range.Offset; position < range.End;)
        {
            (long page, _, int length) = Step(position, range.End - position);
            if (Volatile.Read(ref _pages[page]) is not null)
            {
                data.Add(new Extent(position, length));
            }

            position += length;
        }

        return new ValueTask<IReadOnlyList<MappedExtent>>(ExtentMap.FromData(data, range));
    }

    /// <summary>Does nothing: the memory goes when the last reference does.</summary>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private byte[] PageForWriting(long page)
    {
        byte[]? present = Volatile.Read(ref _pages[page]);
        if (present is not null)
        {
            return present;
        }

        byte[] fresh = new byte[PageSize];
        return Interlocked.CompareExchange(ref _pages[page], fresh, null) ?? fresh;
    }

    /// <summary>The part of a range that lies in its first page: which page, where in it, how long.</summary>
    private static (long Page, int Start, int Length) Step(long position, long remaining)
    {
        int start = (int)(position % PageSize);
        return (position / PageSize, start, (int)Math.Min(PageSize - start, remaining));
    }
}
