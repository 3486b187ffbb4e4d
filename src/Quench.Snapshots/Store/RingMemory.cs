using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>
/// Blocks on their way to the store's data file, and which slots they are for: a view of a mapped file, so that it outlives its process. Whoever takes up the store next
/// finds here what is not in the data file yet.
/// </summary>
/// <remarks>
/// <code>
///      0  "QNRING01" ┬ cells (4) ┬ bytes of a block (4) ┬ id of the store (16)
///     32  CRC-32C of the bytes before (4), zeros up to 4096
///   4096  marks, 16 each: ├ sequence (8) ┼ slot + 1; 0: the cell holds nothing (8) ┤      zeros up to a multiple of 4096
///      …  cells, one block each                                                          little-endian throughout
/// </code>
/// <para>A mark is set when its cell is filled, before the table says that the slot is taken; it is cleared when the content is in the data file, or not needed any more.
/// So for a slot that the table says is taken: its content is in the marked cell with the largest sequence; where none is marked, in the data file.</para>
/// <para>A newer mark of a slot is never cleared before an older one: <see cref="SpillRing"/> forgets the older one, or lets its write end first.</para>
/// </remarks>
internal sealed class RingMemory : IRingMarks
{
    private const ulong Magic = 0x3130474E49524E51; // "QNRING01"
    private const int Page = 4096;
    private const int HeaderEnd = 32;
    private const int MarkSize = 16;

    private readonly Memory<byte> _bytes;
    private readonly int _blockSize;
    private long _firstSequence; // of this process: larger than all that it found

    private RingMemory(Memory<byte> bytes, int cells, int blockSize)
    {
        _bytes = bytes;
        Cells = cells;
        _blockSize = blockSize;
    }

    /// <summary>How many cells there are.</summary>
    internal int Cells { get; }

    private Span<ulong> Marks => MemoryMarshal.Cast<byte, ulong>(_bytes.Span.Slice(Page, Cells * MarkSize));

    /// <summary>The bytes that a ring takes.</summary>
    internal static int BytesFor(int cells, int blockSize) => CellsAt(cells) + (cells * blockSize);

    /// <summary>Makes an empty ring in memory that is all zeros.</summary>
    internal static RingMemory Format(Memory<byte> zeros, int cells, int blockSize, Guid store)
    {
        Span<byte> header = zeros.Span;
        BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header[8..], cells);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], blockSize);
        store.TryWriteBytes(header[16..HeaderEnd]);
        BinaryPrimitives.WriteUInt32LittleEndian(header[HeaderEnd..], SlotTable.Checksum(header[..HeaderEnd]));
        return new RingMemory(zeros, cells, blockSize);
    }

    /// <summary>Opens a ring that is there.</summary>
    /// <returns>Null when this is none, a cut one, or another store's.</returns>
    internal static RingMemory? TryOpen(Memory<byte> bytes, Guid store)
    {
        ReadOnlySpan<byte> header = bytes.Span;
        if (header.Length < Page
            || BinaryPrimitives.ReadUInt64LittleEndian(header) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(header[HeaderEnd..]) != SlotTable.Checksum(header[..HeaderEnd])
            || new Guid(header[16..HeaderEnd]) != store)
        {
            return null;
        }

        int cells = BinaryPrimitives.ReadInt32LittleEndian(header[8..]);
        int blockSize = BinaryPrimitives.ReadInt32LittleEndian(header[12..]);
        return header.Length >= BytesFor(cells, blockSize) ? new RingMemory(bytes, cells, blockSize) : null;
    }

    /// <summary>The bytes of neighbouring cells.</summary>
    internal Memory<byte> At(int cell, int count) => _bytes.Slice(CellsAt(Cells) + (cell * _blockSize), count * _blockSize);

    /// <summary>Takes up what a dead process left: clears what nobody needs.</summary>
    /// <param name="isTaken">Whether the table says that a slot is taken.</param>
    /// <returns>By cell: the slot whose content is there and not in the data file; -1 for none.</returns>
    internal int[] Adopt(Func<int, bool> isTaken)
    {
        int[] slots = new int[Cells];
        Dictionary<int, int> newest = []; // slot → cell
        Span<ulong> marks = Marks;
        for (int cell = 0; cell < Cells; cell++)
        {
            int slot = (int)marks[(2 * cell) + 1] - 1;
            slots[cell] = -1;
            if (slot < 0)
            {
                continue;
            }

            long sequence = (long)marks[2 * cell];
            _firstSequence = Math.Max(_firstSequence, sequence + 1);
            bool isNewer = !newest.TryGetValue(slot, out int other) || sequence > (long)marks[2 * other];
            if (!isTaken(slot))
            {
                Clear(cell);
            }
            else if (isNewer)
            {
                newest[slot] = cell;
            }
        }

        for (int cell = 0; cell < Cells; cell++)
        {
            int slot = (int)marks[(2 * cell) + 1] - 1;
            if (slot >= 0 && newest[slot] == cell)
            {
                slots[cell] = slot;
            }
            else if (slot >= 0)
            {
                Clear(cell); // an older content of the slot
            }
        }

        return slots;
    }

    /// <inheritdoc/>
    public void Set(int cell, long slot, long position)
    {
        Span<ulong> marks = Marks;
        Volatile.Write(ref marks[2 * cell], (ulong)(_firstSequence + position));
        Volatile.Write(ref marks[(2 * cell) + 1], (ulong)slot + 1);
    }

    /// <inheritdoc/>
    public void Clear(int cell) => Volatile.Write(ref Marks[(2 * cell) + 1], 0);

    private static int CellsAt(int cells) => Page + (((cells * MarkSize) + Page - 1) / Page * Page);
}
