using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Interop.Bpf;

/// <summary>
/// A ring of records that BPF programs on all processors fill, in one order, and this process empties. A program that finds no room is told so and must count it: nothing is overwritten. (Linux 5.8,
/// Documentation/bpf/ringbuf.rst) For one reader at a time.
/// </summary>
/// <remarks>
/// <code>
///     mapped:  ├ read up to (one page, ours) ┼ written up to (one page, the kernel's) ┼ records ─┼ the same again ┤
///     record:  ├ length, busy (bit 31), dropped (bit 30) ┼ the kernel's ┼ data, filled up to a multiple of 8 ┤
/// </code>
/// The records are mapped twice in a row, so one that goes over the end lies in one piece all the same.
/// </remarks>
public sealed unsafe class BpfRing : IDisposable
{
    private const int BPF_MAP_TYPE_RINGBUF = 27;
    private const uint BPF_RINGBUF_BUSY_BIT = 1U << 31;
    private const uint BPF_RINGBUF_DISCARD_BIT = 1U << 30;
    private const int PROT_READ = 1;
    private const int PROT_READ_WRITE = 3;
    private const int MAP_SHARED = 1;
    private const int TypeOffset = 0;
    private const int EntriesOffset = 12;
    private const int NameOffset = 28;
    private const int HeaderBytes = 8;

    private readonly SafeFileHandle _map;
    private readonly ulong _mask;
    private readonly nuint _page = (nuint)Environment.SystemPageSize;
    private readonly nuint _producerBytes;
    private byte* _consumer;
    private byte* _producer;
    private ulong _position; // as in the consumer's page: everything before it has been read

    private BpfRing(SafeFileHandle map, string name, int bytes)
    {
        _map = map;
        _mask = (ulong)bytes - 1;
        _producerBytes = _page + (2 * (nuint)bytes);
        int descriptor = (int)map.DangerousGetHandle();
        _consumer = Map(_page, PROT_READ_WRITE, descriptor, 0, name);
        try
        {
            _producer = Map(_producerBytes, PROT_READ, descriptor, (long)_page, name);
        }
        catch
        {
            _ = LibC.munmap(_consumer, _page);
            throw;
        }
    }

    /// <summary>The ring's descriptor, for programs that are loaded while it is open.</summary>
    internal int Descriptor => (int)_map.DangerousGetHandle();

    /// <summary>Makes an empty ring.</summary>
    /// <param name="name">At most 15 letters, digits, dots and underscores.</param>
    /// <param name="bytes">Its room; a power of two, and no less than a page.</param>
    /// <exception cref="LinuxErrorException">EPERM: not root; EINVAL: a kernel before 5.8, or a size that is none; ENOMEM: no memory for it.</exception>
    public static BpfRing Create(string name, int bytes)
    {
        BpfCall.Argument argument = new();
        argument.Set(TypeOffset, BPF_MAP_TYPE_RINGBUF);
        argument.Set(EntriesOffset, checked((uint)bytes));
        argument.SetName(NameOffset, name);
        SafeFileHandle map = argument.Open(BpfCall.BPF_MAP_CREATE, "make the BPF ring", name);
        try
        {
            return new BpfRing(map, name, bytes);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>Lends the oldest record that was not taken yet.</summary>
    /// <param name="record">Valid until <see cref="Take"/>.</param>
    /// <returns>False when there is none, or a program is writing it at this moment.</returns>
    public bool TryPeek(out ReadOnlySpan<byte> record)
    {
        ObjectDisposedException.ThrowIf(_producer == null, this);
        while (_position < Volatile.Read(ref *(ulong*)_producer))
        {
            byte* header = _producer + _page + (_position & _mask);
            uint length = Volatile.Read(ref *(uint*)header);
            if ((length & BPF_RINGBUF_BUSY_BIT) != 0)
            {
                break;
            }

            if ((length & BPF_RINGBUF_DISCARD_BIT) == 0)
            {
                record = new ReadOnlySpan<byte>(header + HeaderBytes, (int)length);
                return true;
            }

            Skip(length & ~BPF_RINGBUF_DISCARD_BIT);
        }

        record = default;
        return false;
    }

    /// <summary>Gives the record's room back that was lent last.</summary>
    public void Take()
    {
        ObjectDisposedException.ThrowIf(_producer == null, this);
        Skip(*(uint*)(_producer + _page + (_position & _mask)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_producer != null)
        {
            _ = LibC.munmap(_producer, _producerBytes);
            _ = LibC.munmap(_consumer, _page);
            _producer = null;
            _consumer = null;
            _map.Dispose();
        }
    }

    private void Skip(uint length)
    {
        _position += (length + HeaderBytes + 7UL) & ~7UL;
        Volatile.Write(ref *(ulong*)_consumer, _position);
    }

    private static byte* Map(nuint bytes, int protection, int descriptor, long offset, string name)
    {
        void* address = LibC.mmap(null, bytes, protection, MAP_SHARED, descriptor, offset);
        return (nint)address != -1 ? (byte*)address : throw LinuxErrorException.FromLastError("map the BPF ring", name);
    }
}
