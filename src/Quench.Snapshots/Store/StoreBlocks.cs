using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Store;

/// <summary>The kept blocks of a store: its data file, and the ring before it. Owns both.</summary>
/// <remarks>Thread-safe for different slots.</remarks>
internal sealed class StoreBlocks : IDisposable
{
    private readonly SafeFileHandle _data;
    private readonly MappedFile _mapping;

    internal StoreBlocks(SafeFileHandle data, MappedFile mapping, RingMemory ring, int blockSize)
    {
        _data = data;
        _mapping = mapping;
        Ring = ring;
        BlockSize = blockSize;
    }

    internal RingMemory Ring { get; }

    internal int BlockSize { get; }

    /// <summary>Writes blocks into consecutive slots of the data file.</summary>
    /// <param name="slot">The first one.</param>
    /// <param name="blocks">Whole blocks, page-aligned.</param>
    internal void Write(int slot, ReadOnlySpan<byte> blocks) => NativeFile.Write(_data, blocks, (long)slot * BlockSize);

    /// <summary>Reads blocks from consecutive slots of the data file.</summary>
    /// <param name="slot">The first one.</param>
    /// <param name="into">Whole blocks.</param>
    /// <returns>False when the memory is not aligned for direct I/O: read into other memory then.</returns>
    internal bool TryRead(int slot, Span<byte> into)
    {
        if (!NativeFile.TryReadAligned(_data, into, (long)slot * BlockSize, BlockSize, out int count))
        {
            return false;
        }

        return count == into.Length ? true : throw new EndOfStreamException($"the store's data file ends before slot {slot}");
    }

    /// <summary>Makes durable what is in the data file.</summary>
    internal void Flush() => NativeFile.Sync(_data);

    /// <summary>Writes into the data file what a dead process left in the ring. Nobody else has the store.</summary>
    /// <param name="isTaken">Whether the table says that a slot is taken.</param>
    internal void Drain(Func<int, bool> isTaken)
    {
        int[] slots = Ring.Adopt(isTaken);
        for (int cell = 0; cell < slots.Length; cell++)
        {
            if (slots[cell] >= 0)
            {
                Write(slots[cell], Ring.At(cell, 1).Span);
                Ring.Clear(cell);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ((IDisposable)_mapping).Dispose();
        _data.Dispose();
    }
}
