using System.Buffers;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Memory;

/// <summary>
/// A file's bytes as memory, shared with the file: what is stored here outlives the process, whatever ends it, because the pages are the kernel's.
/// It is not durable before the file is synced. The owner disposes it, and no span or memory taken from it may be used after that.
/// </summary>
/// <remarks>The file must have all of its storage already (<see cref="NativeFile.TryAllocate"/>): a page that can't be had when it is touched ends the
/// process (SIGBUS).</remarks>
public sealed unsafe class MappedFile : MemoryManager<byte>
{
    private const int PROT_READ_WRITE = 3;
    private const int MAP_SHARED = 1;

    private readonly int _length;
    private byte* _address;

    /// <summary>Maps the beginning of a file.</summary>
    /// <param name="file">Opened for reading and writing; may be closed afterwards.</param>
    /// <param name="length">Bytes; positive, and no more than the file has.</param>
    /// <param name="locked">Pre-fault it and lock it into RAM, for memory on a volume's I/O path; tried, not demanded.</param>
    public MappedFile(SafeFileHandle file, int length, bool locked)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        void* address = LibC.mmap(null, (nuint)length, PROT_READ_WRITE, MAP_SHARED, (int)file.DangerousGetHandle(), 0);
        GC.KeepAlive(file);
        if ((nint)address == -1)
        {
            throw LinuxErrorException.FromLastError($"map {length} bytes of a file");
        }

        _address = (byte*)address;
        _length = length;
        IsLocked = locked && LibC.mlock(address, (nuint)length) == 0;
    }

    /// <summary>Whether the memory is locked into RAM.</summary>
    public bool IsLocked { get; }

    /// <inheritdoc/>
    public override Span<byte> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_address == null, this);
        return new Span<byte>(_address, _length);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(elementIndex);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(elementIndex, _length);
        return new MemoryHandle(_address + elementIndex);
    }

    /// <inheritdoc/>
    public override void Unpin()
    {
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (_address != null)
        {
            _ = LibC.munmap(_address, (nuint)_length);
            _address = null;
        }
    }
}
