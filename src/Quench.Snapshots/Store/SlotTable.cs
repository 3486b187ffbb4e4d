using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;

namespace Quench.Snapshots.Store;

/// <summary>What a store is made for. It never changes.</summary>
/// <param name="VolumeLength">Bytes of the volume; the last block may be cut short.</param>
/// <param name="BlockSize">Bytes that are saved together, and bytes of a slot.</param>
/// <param name="Slots">How many blocks the data file has room for.</param>
/// <param name="Id">Tells this store from every other.</param>
internal readonly record struct StoreGeometry(long VolumeLength, int BlockSize, int Slots, Guid Id);

/// <summary>How a snapshot of the store is doing.</summary>
internal enum RecordState : uint
{
    /// <summary>The record is not in use.</summary>
    Free,

    /// <summary>It has its instant, but nobody has said yet that it shall stay: it goes with the worker.</summary>
    Provisional,

    /// <summary>It can be read.</summary>
    Live,

    /// <summary>The user let go of it; its slots are being given back.</summary>
    Deleting,

    /// <summary>We had to let go of it: it can't be read, and waits for the user to take note.</summary>
    Dropped,
}

/// <summary>Why a snapshot was dropped.</summary>
internal enum DropReason : uint
{
    /// <summary>It was not.</summary>
    None,

    /// <summary>The store was full, and this was the oldest.</summary>
    Full,

    /// <summary>An old block could not be read or kept.</summary>
    SaveFailed,

    /// <summary>Keeping an old block took so long that writers suffered.</summary>
    TooSlow,
}

/// <summary>A snapshot in the table.</summary>
/// <param name="Number">Grows by each snapshot and is never used again; 0 in a free record.</param>
/// <param name="State">How it is doing.</param>
/// <param name="Reason">Why it was dropped.</param>
internal readonly record struct SnapshotRecord(uint Number, RecordState State, DropReason Reason);

/// <summary>
/// Which slot holds which version of which block, and which snapshots there are: a view of a mapped file, so that it outlives its process.
/// </summary>
/// <remarks>
/// <code>
///      0  "QNSTORE1"
///      8  version (4) ┬ bytes of a block (4) ┬ bytes of the volume (8) ┬ slots (8) ┬ id (16)
///     48  CRC-32C of the bytes before (4), zeros up to 4096
///   4096  64 records of 16: ├ number (4) ┼ state (4) ┼ reason (4) ┼ 0 (4) ┤
///   8192  slots, 16 each:   ├ block (8) ┼ check (4) ┼ key (4) ┤                     little-endian throughout
/// </code>
/// A slot is free unless its check fits block and key. Key and check lie in one word and are stored at once, after the block: a process that dies
/// at any instruction leaves each slot with its old entry, its new one, or free. The same holds for a record's number and state. Nothing here says
/// what a power cut leaves: the store is not believed after one.
/// </remarks>
internal sealed class SlotTable
{
    internal const int MaxSnapshots = 64;
    internal const int RecordsOffset = 4096;
    internal const int SlotsOffset = 8192;

    /// <summary>The most slots that a table can have: it is mapped in one piece of less than 2 GiB.</summary>
    internal const int MaxSlots = (int)((int.MaxValue - (long)SlotsOffset) / SlotSize);

    private const ulong Magic = 0x3145524F54534E51; // "QNSTORE1"
    private const uint Version = 1;
    private const int SlotSize = 16;
    private const int HeaderEnd = 48;
    private const uint Taken = 0x8000_0000; // set in every check, so that no sound one is 0

    private readonly Memory<byte> _bytes;

    private SlotTable(Memory<byte> bytes, StoreGeometry geometry)
    {
        _bytes = bytes;
        Geometry = geometry;
    }

    /// <summary>What the store is made for.</summary>
    internal StoreGeometry Geometry { get; }

    private Span<ulong> Slots => MemoryMarshal.Cast<byte, ulong>(_bytes.Span[SlotsOffset..]);

    private Span<ulong> Records => MemoryMarshal.Cast<byte, ulong>(_bytes.Span[RecordsOffset..SlotsOffset]);

    /// <summary>The bytes that a table takes.</summary>
    internal static long BytesFor(int slots) => SlotsOffset + ((long)slots * SlotSize);

    /// <summary>Makes an empty table in memory that is all zeros.</summary>
    internal static SlotTable Format(Memory<byte> zeros, StoreGeometry geometry)
    {
        Span<byte> header = zeros.Span;
        BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(header[12..], geometry.BlockSize);
        BinaryPrimitives.WriteInt64LittleEndian(header[16..], geometry.VolumeLength);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], geometry.Slots);
        geometry.Id.TryWriteBytes(header[32..HeaderEnd]);
        BinaryPrimitives.WriteUInt32LittleEndian(header[HeaderEnd..], Checksum(header[..HeaderEnd]));
        return new SlotTable(zeros, geometry);
    }

    /// <summary>Opens a table that is there.</summary>
    /// <returns>Null when this is none, or a cut one.</returns>
    internal static SlotTable? TryOpen(Memory<byte> bytes)
    {
        ReadOnlySpan<byte> header = bytes.Span;
        if (header.Length < SlotsOffset
            || BinaryPrimitives.ReadUInt64LittleEndian(header) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(header[8..]) != Version
            || BinaryPrimitives.ReadUInt32LittleEndian(header[HeaderEnd..]) != Checksum(header[..HeaderEnd]))
        {
            return null;
        }

        long slots = BinaryPrimitives.ReadInt64LittleEndian(header[24..]);
        if (slots is <= 0 or > int.MaxValue || header.Length < BytesFor((int)slots))
        {
            return null;
        }

        return new SlotTable(bytes, new StoreGeometry(
            BinaryPrimitives.ReadInt64LittleEndian(header[16..]), BinaryPrimitives.ReadInt32LittleEndian(header[12..]), (int)slots, new Guid(header[32..HeaderEnd])));
    }

    /// <summary>CRC-32C of bytes; their number is a multiple of 8.</summary>
    internal static uint Checksum(ReadOnlySpan<byte> bytes, uint seed = uint.MaxValue)
    {
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            seed = BitOperations.Crc32C(seed, word);
        }

        return seed;
    }

    /// <summary>What is in a slot. False when it is free.</summary>
    internal bool TryRead(int slot, out long block, out uint key)
    {
        Span<ulong> slots = Slots;
        ulong word = slots[(2 * slot) + 1];
        block = (long)(slots[2 * slot] & long.MaxValue);
        key = (uint)(word >> 32);
        return word != 0 && word == Word(block, key) && block < (Geometry.VolumeLength + Geometry.BlockSize - 1) / Geometry.BlockSize;
    }

    /// <summary>Says what is in a slot. The data are there already.</summary>
    internal void Write(int slot, long block, uint key)
    {
        Clear(slot); // what a dead process left there may be half an entry
        Volatile.Write(ref Slots[2 * slot], (ulong)block);
        Volatile.Write(ref Slots[(2 * slot) + 1], Word(block, key));
    }

    /// <summary>Gives a slot's version another key, in one store.</summary>
    internal void Rekey(int slot, uint key)
    {
        Span<ulong> slots = Slots;
        Volatile.Write(ref slots[(2 * slot) + 1], Word((long)slots[2 * slot], key));
    }

    /// <summary>Frees a slot.</summary>
    internal void Clear(int slot) => Volatile.Write(ref Slots[(2 * slot) + 1], 0);

    /// <summary>A record, 0 to <see cref="MaxSnapshots"/> - 1.</summary>
    internal SnapshotRecord ReadRecord(int index)
    {
        Span<ulong> records = Records;
        ulong word = records[2 * index];
        return new SnapshotRecord((uint)(word & uint.MaxValue), (RecordState)(uint)(word >> 32), (DropReason)(uint)(records[(2 * index) + 1] & uint.MaxValue));
    }

    /// <summary>Changes a record: the reason first, number and state at once.</summary>
    internal void WriteRecord(int index, SnapshotRecord record)
    {
        Volatile.Write(ref Records[(2 * index) + 1], (ulong)record.Reason);
        Volatile.Write(ref Records[2 * index], ((ulong)record.State << 32) | record.Number);
    }

    private static ulong Word(long block, uint key) =>
        ((ulong)key << 32) | BitOperations.Crc32C(BitOperations.Crc32C(uint.MaxValue, (ulong)block), key) | Taken;
}
