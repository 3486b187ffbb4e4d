using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks.Devices;
using Quench.Interop.Linux;
using Quench.Interop.Memory;
using Quench.Snapshots.Engine;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Where the old bytes are: slots in locked memory, then slots in a spill file. The engine says which slot holds what; this only moves bytes.
/// </summary>
/// <remarks>
/// Thread-safe for different slots; the engine never has two users write one slot. The spill file has no name (it is unlinked as soon as
/// it is open), so that nothing is left of it whoever dies. Its content need not be durable: a snapshot ends with its worker.
/// </remarks>
internal sealed class DiffAreaStore : IDisposable
{
    private const int SegmentBytes = 16 << 20;
    private const int BounceBytes = 256 << 10;
    private const int PageSize = 4096;

    private readonly int _blockSize;
    private readonly long _ramSlots;
    private readonly NativeBuffer[] _segments;
    private readonly SafeFileHandle? _spill;
    private readonly ThreadLocal<NativeBuffer> _bounce = new(() => new NativeBuffer(BounceBytes, locked: true), trackAllValues: true);

    /// <summary>Takes the memory and opens the spill file.</summary>
    /// <param name="limits">How many slots of each kind.</param>
    /// <param name="blockSize">Bytes of a slot.</param>
    /// <param name="spillFolder">Where the spill file goes; null when there are no spill slots.</param>
    internal DiffAreaStore(DiffAreaLimits limits, int blockSize, string? spillFolder)
    {
        _blockSize = blockSize;
        _ramSlots = limits.RamSlots;
        long ramBytes = limits.RamSlots * blockSize;
        _segments = new NativeBuffer[(ramBytes + SegmentBytes - 1) / SegmentBytes];
        try
        {
            for (int index = 0; index < _segments.Length; index++)
            {
                _segments[index] = new NativeBuffer((int)Math.Min(SegmentBytes, ramBytes - ((long)index * SegmentBytes)), locked: true);
            }

            _spill = spillFolder is null ? null : OpenSpill(spillFolder);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Copies old bytes from the origin into their slots.</summary>
    internal void Save(Disk origin, SaveRun run)
    {
        if (run.FirstSlot < _ramSlots)
        {
            SaveToMemory(origin, run);
        }
        else
        {
            SaveToSpill(origin, run);
        }
    }

    /// <summary>Reads saved bytes.</summary>
    /// <param name="slot">The slot of the first block.</param>
    /// <param name="offsetInSlot">How far into it the first byte lies.</param>
    /// <param name="into">Filled from consecutive slots.</param>
    internal void Read(long slot, int offsetInSlot, Span<byte> into)
    {
        if (slot < _ramSlots)
        {
            ReadFromMemory((slot * _blockSize) + offsetInSlot, into);
        }
        else
        {
            ReadFromSpill(((slot - _ramSlots) * _blockSize) + offsetInSlot, into);
        }
    }

    /// <summary>Gives everything back. Nobody may be reading or saving.</summary>
    public void Dispose()
    {
        foreach (NativeBuffer? segment in _segments)
        {
            ((IDisposable?)segment)?.Dispose();
        }

        foreach (NativeBuffer bounce in _bounce.Values)
        {
            ((IDisposable)bounce).Dispose();
        }

        _bounce.Dispose();
        _spill?.Dispose();
    }

    private static SafeFileHandle OpenSpill(string folder)
    {
        string path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $".quench-diff-{Environment.ProcessId}-{Guid.NewGuid():N}"));
        const OpenMode Mode = OpenMode.ReadWrite | OpenMode.Create | OpenMode.Exclusive;
        SafeFileHandle file;
        try
        {
            file = NativeFile.Open(path, Mode | OpenMode.Direct);
        }
        catch (LinuxErrorException failure) when (failure.Errno == Errno.EINVAL)
        {
            File.Delete(path); // the name is there although direct I/O was refused
            file = NativeFile.Open(path, Mode);
        }

        File.Delete(path);
        return file;
    }

    private void SaveToMemory(Disk origin, SaveRun run)
    {
        long at = run.FirstSlot * _blockSize;
        for (long done = 0; done < run.Origin.Length;)
        {
            Span<byte> room = MemoryAt(at + done, run.Origin.Length - done);
            origin.Read(run.Origin.Offset + done, room);
            done += room.Length;
        }
    }

    private void SaveToSpill(Disk origin, SaveRun run)
    {
        Span<byte> bounce = _bounce.Value!.GetSpan();
        long at = (run.FirstSlot - _ramSlots) * _blockSize;
        for (long done = 0; done < run.Origin.Length; done += bounce.Length)
        {
            int length = (int)Math.Min(bounce.Length, run.Origin.Length - done);
            origin.Read(run.Origin.Offset + done, bounce[..length]);
            int whole = (length + PageSize - 1) & ~(PageSize - 1); // the volume's last block may be a short one
            bounce[length..whole].Clear();
            NativeFile.Write(_spill!, bounce[..whole], at + done);
        }
    }

    private void ReadFromMemory(long at, Span<byte> into)
    {
        for (int done = 0; done < into.Length;)
        {
            Span<byte> saved = MemoryAt(at + done, into.Length - done);
            saved.CopyTo(into[done..]);
            done += saved.Length;
        }
    }

    private void ReadFromSpill(long at, Span<byte> into)
    {
        Span<byte> bounce = _bounce.Value!.GetSpan();
        for (int done = 0; done < into.Length;)
        {
            long from = at + done;
            int skip = (int)(from % PageSize);
            int length = Math.Min(into.Length - done, bounce.Length - PageSize);
            int whole = (skip + length + PageSize - 1) & ~(PageSize - 1);
            NativeFile.ReadExactly(_spill!, bounce[..whole], from - skip);
            bounce.Slice(skip, length).CopyTo(into[done..]);
            done += length;
        }
    }

    private Span<byte> MemoryAt(long position, long length)
    {
        int offset = (int)(position % SegmentBytes);
        NativeBuffer segment = _segments[position / SegmentBytes];
        return segment.GetSpan().Slice(offset, (int)Math.Min(length, segment.Length - offset));
    }
}
