using System.Numerics;
using Quench.Blocks;

namespace Quench.Snapshots.Store;

/// <summary>
/// Decides which old blocks are kept for which snapshots. Values in, decisions out: no I/O, no time, no threads. The caller holds one lock around
/// every call and moves the bytes outside it.
/// </summary>
/// <remarks>
/// <para>A kept block is a <i>version</i>: its key is the number of the newest snapshot when it was kept, and it holds the content for every
/// snapshot T with key of the next older version &lt; T ≤ its own key. So a write keeps a block once, however many snapshots there are, and those that
/// see the same content share it.</para>
/// <para>Invariant: a version's key is the number of a record that is provisional or live, or whose slots are still being given back.
/// When a snapshot goes, each of its versions goes to the next older snapshot that needs it, or is freed.</para>
/// <para>The table is the truth and outlives us; what is here beside it only finds things in it, and is built from it when it is opened:
/// 4 bytes a slot for chains by block, 4 for chains by snapshot, 4 to 8 for the heads, one bit for what is free. No call allocates in steady state.</para>
/// </remarks>
internal sealed partial class VersionBook
{
    private const int None = -1;

    private readonly SlotTable _table;
    private readonly int[] _heads;   // by hash of the block: the first slot of its chain
    private readonly int[] _next;    // by slot: the next in the chain; versions of one block stand there newest first
    private readonly int[] _sibling; // by slot: the next version with the same key
    private readonly BlockBitmap _free;
    private readonly int[] _lists = new int[SlotTable.MaxSnapshots];  // by record: its first version
    private readonly int[] _counts = new int[SlotTable.MaxSnapshots]; // by record: how many versions it has
    private readonly SnapshotRecord[] _records = new SnapshotRecord[SlotTable.MaxSnapshots];
    private readonly Stack<SaveBatch> _idle = new();
    private readonly List<SaveBatch> _saving = []; // batches with copies under way: no more than there are writers
    private long _searchFrom; // where the next free slot is looked for: low numbers of a new store first, so that runs of blocks get runs of slots

    /// <summary>Takes up a table, new or left by a process that died: goes on exactly where that was.</summary>
    internal VersionBook(SlotTable table)
    {
        _table = table;
        int slots = table.Geometry.Slots;
        _heads = new int[Math.Max(64, (int)BitOperations.RoundUpToPowerOf2((uint)Math.Min(slots, 1 << 30)))];
        _next = new int[slots];
        _sibling = new int[slots];
        _free = new BlockBitmap(slots);
        Array.Fill(_heads, None);
        Array.Fill(_lists, None);
        ReadRecords();
        ReadSlots();
        for (int index = 0; index < _records.Length; index++)
        {
            if (_records[index].State == RecordState.Provisional)
            {
                SetState(index, RecordState.Deleting, DropReason.None); // nobody has heard of it, and nobody will
            }

            FreeRecordIfSwept(index);
        }

        Sweep(0); // only to see whether something is left to sweep
        FindNewest();
    }

    /// <summary>What the store is made for.</summary>
    internal StoreGeometry Geometry => _table.Geometry;

    /// <summary>The number of the newest snapshot that can be read; 0 when there is none, and writes cost nothing.</summary>
    internal uint Newest { get; private set; }

    /// <summary>Slots that hold no version and are not being copied to.</summary>
    internal int FreeSlots { get; private set; }

    /// <summary>Versions that were ever kept by this object: it only grows.</summary>
    internal long SavedTotal { get; private set; }

    /// <summary>Whether slots of deleted or dropped snapshots are still to be given back.</summary>
    internal bool IsSweepNeeded { get; private set; }

    /// <summary>The snapshots, dropped ones included, oldest first.</summary>
    internal IEnumerable<SnapshotRecord> Records =>
        _records.Where(record => record.State is RecordState.Provisional or RecordState.Live or RecordState.Dropped).OrderBy(record => record.Number);

    /// <summary>Whether a slot holds a version.</summary>
    internal bool IsTaken(int slot) => _table.TryRead(slot, out _, out _);

    /// <summary>Adds a snapshot whose instant is now. No write is in flight.</summary>
    /// <param name="number">Larger than any before it.</param>
    /// <returns>False when there are as many as the table holds.</returns>
    internal bool TryAdd(uint number)
    {
        int index = Array.FindIndex(_records, record => record.State == RecordState.Free);
        if (index < 0)
        {
            return false;
        }

        if (_saving.Count > 0 || _records.Any(record => record.Number >= number))
        {
            throw new InvalidOperationException($"snapshot {number} can't begin: a write is in flight, or it is not the newest");
        }

        Store(index, new SnapshotRecord(number, RecordState.Provisional, DropReason.None));
        FindNewest();
        return true;
    }

    /// <summary>Says that a snapshot shall stay. False when it is not there any more.</summary>
    internal bool TryKeep(uint number)
    {
        int index = IndexOf(number);
        if (index < 0 || !IsReadable(_records[index].State))
        {
            return false;
        }

        SetState(index, RecordState.Live, DropReason.None);
        return true;
    }

    /// <summary>Whether a snapshot can be read.</summary>
    internal bool IsReadable(uint number) => IndexOf(number) is >= 0 and int index && IsReadable(_records[index].State);

    private static bool IsReadable(RecordState state) => state is RecordState.Provisional or RecordState.Live;

    /// <summary>The record of a number; -1 when there is none.</summary>
    private int IndexOf(uint number)
    {
        for (int index = 0; index < _records.Length; index++)
        {
            if (_records[index].Number == number && _records[index].State != RecordState.Free)
            {
                return index;
            }
        }

        return None;
    }

    private void SetState(int index, RecordState state, DropReason reason)
    {
        Store(index, _records[index] with { State = state, Reason = reason });
        IsSweepNeeded |= state is RecordState.Deleting or RecordState.Dropped;
        FindNewest();
    }

    private void Store(int index, SnapshotRecord record)
    {
        _table.WriteRecord(index, record);
        _records[index] = record;
    }

    private void FindNewest() => Newest = NewestBelow(uint.MaxValue);

    /// <summary>The newest readable snapshot that is older than a number; 0 when there is none.</summary>
    private uint NewestBelow(uint number)
    {
        uint newest = 0;
        foreach (SnapshotRecord record in _records)
        {
            if (IsReadable(record.State) && record.Number < number && record.Number > newest)
            {
                newest = record.Number;
            }
        }

        return newest;
    }

    private void ReadRecords()
    {
        for (int index = 0; index < _records.Length; index++)
        {
            _records[index] = _table.ReadRecord(index);
        }
    }

    private void ReadSlots()
    {
        for (int slot = 0; slot < Geometry.Slots; slot++)
        {
            int index = _table.TryRead(slot, out long block, out uint key) ? IndexOf(key) : None;
            if (index < 0)
            {
                _table.Clear(slot);
                _free.Set(slot);
                FreeSlots++;
                continue;
            }

            InsertInOrder(slot, block, key);
            AddToList(slot, index);
        }
    }
}
