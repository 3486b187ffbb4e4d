using System.Buffers;
using Quench.Interop.Linux;

namespace Quench.Interop.Memory;

/// <summary>
/// Page-aligned memory outside the managed heap, zeroed when new: fit for O_DIRECT, never moved, optionally locked into RAM.
/// The owner disposes it, and no span or memory taken from it may be used after that.
/// </summary>
public sealed unsafe class NativeBuffer : MemoryManager<byte>
{
    private const int PROT_READ_WRITE = 3;
    private const int MAP_PRIVATE_ANONYMOUS = 0x22;
    private const int MADV_DONTDUMP = 16;

    private byte* _address;
    private readonly int _length;

    /// <summary>Maps new memory.</summary>
    /// <param name="length">Bytes; positive.</param>
    /// <param name="locked">Pre-fault it and lock it into RAM, for memory on a volume's I/O path; tried, not demanded.</param>
    /// <param name="undumped">Leave it out of core dumps, for secrets; tried, not demanded.</param>
    public NativeBuffer(int length, bool locked = false, bool undumped = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        void* address = LibC.mmap(null, (nuint)length, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
        if ((nint)address == -1)
        {
            throw LinuxErrorException.FromLastError($"map {length} bytes of memory");
        }

        _address = (byte*)address;
        _length = length;
        if (locked)
        {
            IsLocked = LibC.mlock(address, (nuint)length) == 0;
        }

        if (undumped)
        {
            _ = LibC.madvise(address, (nuint)length, MADV_DONTDUMP);
        }
    }

    /// <summary>Whether the memory is locked into RAM.</summary>
    public bool IsLocked { get; }

    /// <summary>Bytes.</summary>
    public int Length => _length;

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
