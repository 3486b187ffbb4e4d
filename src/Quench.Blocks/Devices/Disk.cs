using Microsoft.Win32.SafeHandles;
using Quench.Blocks.Buffers;
using Quench.Interop.Linux;

namespace Quench.Blocks.Devices;

/// <summary>
/// A disk that the kernel keeps for us behind a file handle: a <see cref="RawDevice"/> or an <see cref="ImageFile"/>. Besides the
/// asynchronous interface it has synchronous methods over spans, for threads whose trade is blocking I/O; neither way allocates per call.
/// </summary>
/// <remarks>
/// Thread-safe. Short and interrupted transfers are finished here. Memory of any alignment is accepted; aligned memory is transferred
/// in place, other memory through a bounce buffer. Failures of the medium are <see cref="LinuxErrorException"/> with the disk's path.
/// An asynchronous call runs on the thread pool; cancelling is looked at before the transfer begins, not while the kernel has it.
/// </remarks>
public abstract class Disk : IBlockDevice
{
    private const int BounceLength = 256 * 1024;

    private static readonly AlignedBufferPool s_bounce = new(BounceLength, maxRetained: 16);

    // A buffer of zeros, never written: for media that have no zeroing of their own.
    private static readonly Quench.Interop.Memory.NativeBuffer s_zeros = new(BounceLength);

    private readonly SafeFileHandle _handle;
    private readonly SafeFileHandle? _buffered; // the same file without O_DIRECT, for a last partial sector; null where there is none
    private readonly int _alignment;            // of offsets, lengths and addresses; 1 when the handle is not direct
    private readonly TransferPool _transfers;

    private protected Disk(string path, DeviceAccess access, BlockGeometry geometry, SafeFileHandle handle, SafeFileHandle? buffered, int alignment)
    {
        Path = path;
        Access = access;
        Geometry = geometry;
        _handle = handle;
        _buffered = buffered;
        _alignment = alignment;
        _transfers = new TransferPool(this);
    }

    /// <summary>The path it was opened by.</summary>
    public string Path { get; }

    /// <summary>What it was opened for.</summary>
    public DeviceAccess Access { get; }

    /// <inheritdoc/>
    public BlockGeometry Geometry { get; }

    /// <summary>Whether transfers go past the page cache.</summary>
    public bool IsDirect => _alignment > 1;

    /// <summary>Told of each transfer of a synchronous method; null for nobody. Set before the disk is used.</summary>
    public ITransferWatch? Watch { get; set; }

    /// <summary>The open file, for a process that hands it on to a program that it starts. It stays this disk's.</summary>
    public SafeFileHandle Handle => _handle;

    /// <summary>Opens whatever is at a path: a block device, or a regular file as a disk. Past the page cache where the medium allows.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="access">What for.</param>
    /// <param name="exclusive">Refuse when somebody else holds it: see <see cref="RawDevice.Open"/> and <see cref="ImageFile.Open"/>.</param>
    /// <exception cref="QuenchException">BLOCK-101 to BLOCK-105: nothing there, not a disk, in use, not permitted, not to be opened.</exception>
    public static Disk Open(string path, DeviceAccess access, bool exclusive)
    {
        FileStatus? status;
        try
        {
            status = NativeFile.TryGetStatus(path);
        }
        catch (LinuxErrorException failure)
        {
            throw DiskErrors.From(path, failure);
        }

        return status switch
        {
            null => throw DiskErrors.NotThere(path),
            { Kind: FileKind.BlockDevice } => RawDevice.Open(path, access, exclusive),
            { Kind: FileKind.Regular } => ImageFile.Open(path, access, exclusive),
            _ => throw DiskErrors.NotADisk(path),
        };
    }

    /// <summary>
    /// Opens once more what a handle has open, whatever has become of its name since. Nothing is claimed: whoever opened the handle has done that.
    /// </summary>
    /// <param name="held">Open on a block device or a regular file; stays the caller's.</param>
    /// <param name="path">What it is called in messages.</param>
    /// <param name="access">What for.</param>
    /// <exception cref="QuenchException">BLOCK-101 to BLOCK-105: it can't be opened.</exception>
    public static Disk OpenHeld(SafeFileHandle held, string path, DeviceAccess access)
    {
        string place = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fd/{held.DangerousGetHandle()}");
        try
        {
            return NativeFile.TryGetStatus(place) switch
            {
                { Kind: FileKind.BlockDevice } => RawDevice.OpenHeld(place, path, access),
                { Kind: FileKind.Regular } file => ImageFile.OpenHeld(place, path, access, file.Length),
                _ => throw DiskErrors.NotADisk(path),
            };
        }
        catch (LinuxErrorException failure)
        {
            throw DiskErrors.From(path, failure);
        }
    }

    /// <summary>Reads exactly the buffer's length. Same contract as <see cref="ReadAsync"/>, on the calling thread.</summary>
    public void Read(long offset, Span<byte> into)
    {
        Geometry.Check(offset, into.Length);
        Watch?.Begin();
        try
        {
            ReadCore(offset, into);
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
        finally
        {
            Watch?.End();
        }
    }

    /// <summary>Writes exactly the source's length. Same contract as <see cref="WriteAsync"/>, on the calling thread.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        DemandWritable();
        Geometry.Check(offset, source.Length);
        Watch?.Begin();
        try
        {
            WriteCore(offset, source);
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
        finally
        {
            Watch?.End();
        }
    }

    /// <summary>Makes a range read as zeros by the medium's own means.</summary>
    /// <returns>False when the medium has none; nothing has changed then, and <see cref="Zero"/> would write zeros.</returns>
    public bool TryZero(Extent range)
    {
        DemandWritable();
        Geometry.Check(range.Offset, range.Length);
        Watch?.Begin();
        try
        {
            return range.IsEmpty || TryZeroCore(range);
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
        finally
        {
            Watch?.End();
        }
    }

    /// <summary>Makes a range read as zeros, by the medium's own means or by writing them.</summary>
    public void Zero(Extent range)
    {
        if (!TryZero(range))
        {
            WriteZeros(range);
        }
    }

    /// <summary>Says that a range is no longer needed; it may read as anything afterwards.</summary>
    /// <returns>False when the medium knows no discard; nothing has changed then.</returns>
    public bool TryDiscard(Extent range)
    {
        DemandWritable();
        Geometry.Check(range.Offset, range.Length);
        Watch?.Begin();
        try
        {
            return range.IsEmpty || TryDiscardCore(range);
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
        finally
        {
            Watch?.End();
        }
    }

    /// <summary>Makes durable what had been written when it was called. After a failure what is durable is unknown: never retry.</summary>
    public void Flush()
    {
        Watch?.Begin();
        try
        {
            NativeFile.SyncData(_handle);
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
        finally
        {
            Watch?.End();
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> into, CancellationToken cancellationToken)
    {
        Geometry.Check(offset, into.Length);
        return _transfers.StartAsync(TransferKind.Read, new Extent(offset, into.Length), into, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        DemandWritable();
        Geometry.Check(offset, source.Length);
        return _transfers.StartAsync(TransferKind.Write, new Extent(offset, source.Length), source, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask ZeroAsync(Extent range, CancellationToken cancellationToken)
    {
        DemandWritable();
        Geometry.Check(range.Offset, range.Length);
        return _transfers.StartAsync(TransferKind.Zero, range, default, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DiscardAsync(Extent range, CancellationToken cancellationToken)
    {
        DemandWritable();
        Geometry.Check(range.Offset, range.Length);
        return _transfers.StartAsync(TransferKind.Discard, range, default, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) =>
        _transfers.StartAsync(TransferKind.Flush, default, default, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<MappedExtent>> MapAsync(Extent range, CancellationToken cancellationToken)
    {
        Geometry.Check(range.Offset, range.Length);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return new ValueTask<IReadOnlyList<MappedExtent>>(MapCore(range));
        }
        catch (LinuxErrorException failure) when (failure.Subject is null)
        {
            throw Named(failure);
        }
    }

    /// <summary>Closes the handles. What was not flushed may still be lost. Transfers under way end first.</summary>
    public ValueTask DisposeAsync()
    {
        _handle.Dispose();
        _buffered?.Dispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private protected abstract bool TryZeroCore(Extent range);

    private protected abstract bool TryDiscardCore(Extent range);

    private protected abstract IReadOnlyList<MappedExtent> MapCore(Extent range);

    /// <summary>The bytes of a transfer that whole sectors make up; the rest is a last partial sector.</summary>
    private int WholeSectors(int length) => length & ~(_alignment - 1);

    private void ReadCore(long offset, Span<byte> into)
    {
        int whole = WholeSectors(into.Length);
        int count = 0;
        if (whole > 0 && !NativeFile.TryReadAligned(_handle, into[..whole], offset, _alignment, out count))
        {
            count = ReadThroughBounce(offset, into[..whole]);
        }

        if (count == whole && whole < into.Length)
        {
            count += NativeFile.Read(_buffered!, into[whole..], offset + whole);
        }

        if (count < into.Length)
        {
            throw new EndOfStreamException($"{Path} ends at {offset + count} although it was {Geometry.Length} bytes long when it was opened");
        }
    }

    private int ReadThroughBounce(long offset, Span<byte> into)
    {
        using BufferLease bounce = s_bounce.Rent();
        int done = 0;
        while (done < into.Length)
        {
            Span<byte> part = bounce.Span[..Math.Min(BounceLength, into.Length - done)];
            int count = NativeFile.Read(_handle, part, offset + done);
            part[..count].CopyTo(into[done..]);
            done += count;
            if (count < part.Length)
            {
                break;
            }
        }

        return done;
    }

    private void WriteCore(long offset, ReadOnlySpan<byte> source)
    {
        int whole = WholeSectors(source.Length);
        if (whole > 0 && !NativeFile.TryWriteAligned(_handle, source[..whole], offset, _alignment))
        {
            WriteThroughBounce(offset, source[..whole]);
        }

        if (whole < source.Length)
        {
            NativeFile.Write(_buffered!, source[whole..], offset + whole);
        }
    }

    private void WriteThroughBounce(long offset, ReadOnlySpan<byte> source)
    {
        using BufferLease bounce = s_bounce.Rent();
        for (int done = 0; done < source.Length;)
        {
            Span<byte> part = bounce.Span[..Math.Min(BounceLength, source.Length - done)];
            source.Slice(done, part.Length).CopyTo(part);
            NativeFile.Write(_handle, part, offset + done);
            done += part.Length;
        }
    }

    private void WriteZeros(Extent range)
    {
        for (long position = range.Offset; position < range.End;)
        {
            int length = (int)Math.Min(BounceLength, range.End - position);
            Write(position, s_zeros.GetSpan()[..length]);
            position += length;
        }
    }

    private void DemandWritable()
    {
        if (Access == DeviceAccess.Read)
        {
            throw new NotSupportedException($"{Path} was opened for reading only");
        }
    }

    private LinuxErrorException Named(LinuxErrorException failure) => new(failure.Errno, failure.Operation, Path);
}
