using Quench.Blocks.Devices;
using Quench.Interop.Memory;
using Quench.Snapshots.Engine;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Where the old bytes are: slots in locked memory, then slots in a spill file. The engine says which slot holds what; this only moves bytes.
/// </summary>
/// <remarks>Thread-safe for different slots; the engine never has two users write one slot.</remarks>
internal sealed class DiffAreaStore : IDisposable
{
    private const int SegmentBytes = 16 << 20;

    private readonly int _blockSize;
    private readonly long _ramSlots;
    private readonly NativeBuffer[] _segments;

    /// <summary>Takes the memory.</summary>
    /// <param name="limits">How many slots of each kind.</param>
    /// <param name="blockSize">Bytes of a slot.</param>
    /// <param name="spill">The spill file, owned from now on; null when there are no spill slots.</param>
    internal DiffAreaStore(DiffAreaLimits limits, int blockSize, SpillFile? spill)
    {
        _blockSize = blockSize;
        _ramSlots = limits.RamSlots;
        Spill = spill;
        long ramBytes = limits.RamSlots * blockSize;
        _segments = new NativeBuffer[(ramBytes + SegmentBytes - 1) / SegmentBytes];
        try
        {
            for (int index = 0; index < _segments.Length; index++)
            {
                _segments[index] = new NativeBuffer((int)Math.Min(SegmentBytes, ramBytes - ((long)index * SegmentBytes)), locked: true);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The spill file; null when there is none.</summary>
    internal SpillFile? Spill { get; }

    /// <summary>Copies old bytes from the origin into their slots.</summary>
    /// <param name="origin">The origin.</param>
    /// <param name="run">What goes where.</param>
    /// <param name="waited">How long the caller's saving has waited so far for the spill file; grows by what it waits more.</param>
    internal void Save(Disk origin, SaveRun run, ref TimeSpan waited)
    {
        if (run.FirstSlot < _ramSlots)
        {
            SaveToMemory(origin, run);
        }
        else
        {
            Spill!.Save(origin, run.Origin, run.FirstSlot - _ramSlots, ref waited);
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
            Spill!.Read(slot - _ramSlots, offsetInSlot, into);
        }
    }

    /// <summary>Gives everything back. Nobody may be reading or saving.</summary>
    public void Dispose()
    {
        foreach (NativeBuffer? segment in _segments)
        {
            ((IDisposable?)segment)?.Dispose();
        }

        Spill?.Dispose();
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

    private void ReadFromMemory(long at, Span<byte> into)
    {
        for (int done = 0; done < into.Length;)
        {
            Span<byte> saved = MemoryAt(at + done, into.Length - done);
            saved.CopyTo(into[done..]);
            done += saved.Length;
        }
    }

    private Span<byte> MemoryAt(long position, long length)
    {
        int offset = (int)(position % SegmentBytes);
        NativeBuffer segment = _segments[position / SegmentBytes];
        return segment.GetSpan().Slice(offset, (int)Math.Min(length, segment.Length - offset));
    }
}
