using System.Runtime.CompilerServices;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;
using Quench.Tests.Simulation;

namespace Quench.Tests.Snapshots.Store;

/// <summary>
/// A volume of a few blocks of two sectors, its store, and everybody who uses them, a step at a time in the order that a seed says: writers that
/// overlap, savers who bring to the data file what the writers have left in the ring, readers, snapshots made and deleted, saves that fail, a data file that fails or is
/// slow, and the death of the process between any two steps or inside any. Beside it the naive model: each snapshot is a copy of the whole volume.
/// </summary>
internal sealed class StoreWorld : IDisposable
{
    private const int SectorsPerBlock = 2;

    private readonly Dice _dice;
    private readonly int _blocks;
    private readonly int[] _origin;   // by sector: the number of the write that it holds
    private readonly int[] _data;     // the data file, by sector
    private readonly int[] _cells;    // the ring's content, by sector; as mortal as the data file
    private readonly MortalMemory _memory;
    private readonly MortalMemory _ringMemory;
    private readonly Dictionary<uint, int[]> _model = []; // what each snapshot must show, as long as it can be read
    private readonly HashSet<uint> _provisional = [];
    private readonly List<Writer> _writers = [];
    private readonly List<Reader> _readers = [];
    private readonly Saver[] _savers = [new(), new()];
    private readonly int _ringCells;
    private SpillRing _ring;
    private VersionBook _book;
    private uint _nextSnapshot = 1;
    private int _nextWrite = 1;
    private uint _deleting; // not 0: the process may have died while it deleted this one
    private bool _draining;
    private bool _finishing; // from now on the data file does what it should

    public StoreWorld(long seed)
    {
        _dice = new Dice(seed);
        _blocks = _dice.Between(1, 12);
        int slots = _dice.Between(1, 3 * _blocks);
        _origin = new int[_blocks * SectorsPerBlock];
        _data = new int[slots * SectorsPerBlock];
        _memory = new MortalMemory((int)SlotTable.BytesFor(slots));
        StoreGeometry geometry = new(_blocks * 4096L, 4096, slots, Guid.NewGuid());
        _book = new VersionBook(SlotTable.Format(_memory.Memory, geometry));
        _ringCells = _dice.Between(1, 8);
        _cells = new int[_ringCells * SectorsPerBlock];
        _ringMemory = new MortalMemory(RingMemory.BytesFor(_ringCells, 4096));
        _ring = new SpillRing(_ringCells, _savers.Length, RingMemory.Format(_ringMemory.Memory, _ringCells, 4096, geometry.Id));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ((IDisposable)_memory).Dispose();
        ((IDisposable)_ringMemory).Dispose();
    }

    /// <summary>How often each thing happened, so that a run that shows nothing is seen to show nothing.</summary>
    public Dictionary<string, int> Tally { get; } = [];

    public void Run(int steps)
    {
        for (int step = 0; step < steps; step++)
        {
            try
            {
                if (_dice.OneIn(60))
                {
                    (_dice.OneIn(2) ? _memory : _ringMemory).AccessesToLive = _dice.Below(40); // dies in this step or in one of the next
                }

                Step();
                CheckRecords();
            }
            catch (DeathException)
            {
                Rise();
            }
        }

        LetLive();
        Finish();
    }

    private void Step()
    {
        switch (_dice.Below(12))
        {
            case 0 or 1 when !_draining && _writers.Count < 4:
                int first = _dice.Below(_origin.Length);
                _writers.Add(new Writer(_nextWrite++, first, Math.Min(_origin.Length, first + 1 + _dice.Below(6))));
                break;
            case 2 or 3 when _readers.Count < 3 && _model.Count > 0:
                StartReader();
                break;
            case 4 when _dice.OneIn(3):
                _draining = true;
                break;
            case 5 when _dice.OneIn(9):
                Delete();
                break;
            case 6:
                _book.Sweep(_dice.Below(4));
                break;
            case 7 when _provisional.Count > 0:
                uint number = _provisional.First();
                if (_book.TryKeep(number))
                {
                    Count("kept");
                }

                _provisional.Remove(number);
                break;
            default:
                StepSomebody();
                break;
        }

        if (_draining && _writers.Count == 0)
        {
            Take();
        }
    }

    private void StepSomebody()
    {
        int who = _dice.Below(_writers.Count + _readers.Count + _savers.Length);
        if (who < _writers.Count)
        {
            StepWriter(_writers[who]);
        }
        else if (who - _writers.Count < _readers.Count)
        {
            StepReader(_readers[who - _writers.Count]);
        }
        else
        {
            StepSaver(_savers[who - _writers.Count - _readers.Count]);
        }
    }

    private void Take()
    {
        _draining = false;
        uint number = _nextSnapshot++;
        int[] copy = [.. _origin];
        if (_book.TryAdd(number))
        {
            _model[number] = copy;
            _provisional.Add(number);
            Count("taken");
        }
    }

    private void Delete()
    {
        uint[] all = [.. _book.Records.Select(record => record.Number)];
        if (all.Length > 0)
        {
            uint number = all[_dice.Below(all.Length)];
            _model.Remove(number);
            _provisional.Remove(number);
            _deleting = number;
            Demand(_book.TryDelete(number), $"snapshot {number} is listed, but can't be deleted");
            _deleting = 0;
            Count("deleted");
        }
    }

    private void StepWriter(Writer writer)
    {
        switch (writer.Phase)
        {
            case WriterPhase.Asking:
                writer.Batch ??= _book.BeginWrite(writer.First / SectorsPerBlock, ((writer.End - 1) / SectorsPerBlock) + 1);
                writer.Phase = _book.Next(writer.Batch) switch
                {
                    StoreStep.Land => WriterPhase.Landing,
                    StoreStep.Save => WriterPhase.Saving,
                    _ => WriterPhase.Asking,
                };
                writer.At = writer.Phase == WriterPhase.Landing ? writer.First : 0;
                writer.Saved = 0;
                writer.Given = 0;
                break;
            case WriterPhase.Saving when writer.Saved == writer.Batch!.Count:
                writer.Phase = WriterPhase.Asking;
                Count(writer.Batch.IsSpoiled ? "spoiled batches" : "saves");
                _book.CompleteSave(writer.Batch);
                break;
            case WriterPhase.Saving when writer.Given == 0:
                Reserve(writer);
                break;
            case WriterPhase.Saving when writer.At < writer.Given * SectorsPerBlock:
                _cells[(_ring.CellOf(writer.Position) * SectorsPerBlock) + writer.At] = _origin[(((int)writer.Batch.First + writer.Saved) * SectorsPerBlock) + writer.At];
                writer.At++;
                break;
            case WriterPhase.Saving when _dice.OneIn(40):
                _ring.Abandon(writer.Position, writer.Given); // the origin could not be read
                Fail(writer, DropReason.SaveFailed);
                Count("failed saves");
                break;
            case WriterPhase.Saving:
                Publish(writer);
                break;
            case WriterPhase.Landing when writer.At < writer.End:
                _origin[writer.At++] = writer.Number;
                break;
            default:
                _book.EndWrite(writer.Batch!);
                _writers.Remove(writer);
                Count("written");
                break;
        }
    }

    private void Reserve(Writer writer)
    {
        if (_ring.TryReserve(writer.Batch!.Count - writer.Saved, out long position, out int count))
        {
            writer.Position = position;
            writer.Given = count;
            writer.At = 0;
        }
        else if (_dice.OneIn(20))
        {
            Fail(writer, DropReason.TooSlow); // its patience is over
            Count("no room");
        }
    }

    private void Publish(Writer writer)
    {
        ReadOnlySpan<int> slots = writer.Batch!.Slots.Slice(writer.Saved, writer.Given);
        for (int index = 0; index < slots.Length;)
        {
            int count = SnapshotStore.RunLength(slots[index..]);
            _ring.Fill(new SpillRun(writer.Position + index, slots[index], count), 0);
            index += count;
        }

        writer.Saved += writer.Given;
        writer.Given = 0;
    }

    private void Fail(Writer writer, DropReason reason)
    {
        writer.Phase = WriterPhase.Asking;
        _book.FailSave(writer.Batch!, reason);
    }

    private void StepSaver(Saver saver)
    {
        if (saver.Run.Count == 0)
        {
            saver.At = 0;
            saver.HasLost = false;
            saver.Run = _ring.TryTakeRun(_dice.Between(1, 4), out SpillRun run) ? run : default;
        }
        else if (saver.At < saver.Run.Count * SectorsPerBlock && !saver.HasLost)
        {
            int sector = ((int)saver.Run.FirstSlot * SectorsPerBlock) + saver.At;
            if (!_finishing && _dice.OneIn(80))
            {
                _data[sector] = -1; // the medium failed
                _book.Lose((int)saver.Run.FirstSlot, saver.Run.Count, DropReason.SaveFailed);
                saver.HasLost = true;
                Count("lost runs");
                return;
            }

            _data[sector] = _cells[(_ring.CellOf(saver.Run.Position) * SectorsPerBlock) + saver.At];
            saver.At++;
        }
        else
        {
            _ring.Complete(saver.Run);
            saver.Run = default;
        }
    }

    private void StartReader()
    {
        uint[] numbers = [.. _model.Keys];
        Reader reader = new(numbers[_dice.Below(numbers.Length)], _dice.Below(_blocks));
        reader.Plan = new int[1 + _dice.Below(_blocks - reader.First)];
        reader.Bytes = new int[reader.Plan.Length * SectorsPerBlock];
        if (_book.Locate(reader.Number, reader.First, reader.Plan) == StoreReadStatus.Reading)
        {
            _readers.Add(reader);
        }
    }

    private void StepReader(Reader reader)
    {
        if (reader.At < reader.Bytes.Length)
        {
            int place = reader.Plan[reader.At / SectorsPerBlock];
            if (place == VersionBook.OnOrigin)
            {
                reader.Bytes[reader.At] = _origin[(reader.First * SectorsPerBlock) + reader.At];
            }
            else if (place != VersionBook.Settled)
            {
                ReadSlot(reader, place);
            }

            reader.At++;
            return;
        }

        StoreReadStatus status = _book.Recheck(reader.Number, reader.First, reader.Plan);
        reader.At = 0;
        if (status != StoreReadStatus.Reading)
        {
            _readers.Remove(reader);
            CheckRead(reader, status);
        }
    }

    /// <summary>Reads a sector of a slot from the ring or from the data file; goes back to the block's first one when its cell moved on meanwhile.</summary>
    private void ReadSlot(Reader reader, int slot)
    {
        int sector = reader.At % SectorsPerBlock;
        if (sector == 0)
        {
            _ring.Find(slot, 1, out long position);
            reader.Position = position;
        }

        Count(reader.Position < 0 ? "file reads" : "ring reads");
        reader.Bytes[reader.At] = reader.Position < 0
            ? _data[(slot * SectorsPerBlock) + sector]
            : _cells[(_ring.CellOf(reader.Position) * SectorsPerBlock) + sector];
        if (sector == SectorsPerBlock - 1 && reader.Position >= 0 && !_ring.IsAt(slot, reader.Position))
        {
            reader.At -= SectorsPerBlock;
        }
    }

    private void CheckRead(Reader reader, StoreReadStatus status)
    {
        if (status == StoreReadStatus.Gone)
        {
            Demand(!_model.ContainsKey(reader.Number), $"snapshot {reader.Number} is gone for a reader, but should be there");
            Count("gone reads");
            return;
        }

        Demand(_model.TryGetValue(reader.Number, out int[]? expected), $"snapshot {reader.Number} was read although it is gone");
        for (int at = 0; at < reader.Bytes.Length; at++)
        {
            int sector = (reader.First * SectorsPerBlock) + at;
            Demand(expected![sector] == reader.Bytes[at], $"snapshot {reader.Number} shows {reader.Bytes[at]} in sector {sector}, but it held {expected[sector]}");
        }

        Count("reads");
    }

    /// <summary>Snapshots that were dropped: only readable ones can be, the oldest first when the store was full.</summary>
    private void CheckRecords()
    {
        foreach (SnapshotRecord record in _book.Records)
        {
            bool readable = record.State != RecordState.Dropped;
            if (!readable && _model.Remove(record.Number))
            {
                _provisional.Remove(record.Number);
                Demand(
                    record.Reason != DropReason.Full || _book.Records.All(other => other.State == RecordState.Dropped || other.Number > record.Number),
                    $"snapshot {record.Number} was dropped although an older one is there");
                Count("dropped");
            }

            Demand(readable == _model.ContainsKey(record.Number), $"snapshot {record.Number} is {record.State}");
        }

        foreach (uint number in _model.Keys)
        {
            Demand(_book.IsReadable(number), $"snapshot {number} is not there any more");
        }
    }

    /// <summary>A new process takes up what the dead one left: the writes that were not answered come again, and nobody reads any more.</summary>
    private void Rise()
    {
        LetLive();
        Count("deaths");
        foreach (Saver saver in _savers)
        {
            EndInKernel(saver);
        }

        while (!TryTakeUp())
        {
            Count("deaths in taking up");
        }

        _readers.Clear();
        _draining = false;
        foreach (Writer writer in _writers)
        {
            writer.Phase = WriterPhase.Asking;
            writer.Batch = null;
        }

        foreach (uint number in _provisional.Where(number => !_book.IsReadable(number)).ToArray())
        {
            _provisional.Remove(number);
            _model.Remove(number);
        }

        if (_deleting != 0)
        {
            _book.TryDelete(_deleting); // whoever asked for it had no answer and asks again
            _deleting = 0;
        }

        CheckRecords();
    }

    /// <summary>A saver that the death met in the kernel writes on there, as far as it likes.</summary>
    private void EndInKernel(Saver saver)
    {
        for (int left = _dice.Below(8); left > 0 && saver.Run.Count > 0 && saver.At < saver.Run.Count * SectorsPerBlock; left--)
        {
            _data[((int)saver.Run.FirstSlot * SectorsPerBlock) + saver.At] = _cells[(_ring.CellOf(saver.Run.Position) * SectorsPerBlock) + saver.At];
            saver.At++;
        }

        saver.Run = default;
    }

    private bool TryTakeUp()
    {
        try
        {
            if (_dice.OneIn(5))
            {
                (_dice.OneIn(2) ? _memory : _ringMemory).AccessesToLive = _dice.Below(20);
            }

            SlotTable table = SlotTable.TryOpen(_memory.Memory) ?? throw new SimulationException("the table can't be opened after a death");
            VersionBook book = new(table);
            RingMemory marks = RingMemory.TryOpen(_ringMemory.Memory, table.Geometry.Id) ?? throw new SimulationException("the ring can't be opened after a death");
            SpillRing ring = new(_ringCells, _savers.Length, marks);
            int[] slots = marks.Adopt(book.IsTaken);
            ring.Adopt(slots, 0);
            LetLive();
            (_book, _ring) = (book, ring);
            Tally["adopted"] = Tally.GetValueOrDefault("adopted") + slots.Count(slot => slot >= 0);
            return true;
        }
        catch (DeathException)
        {
            LetLive();
            return false;
        }
    }

    private void LetLive()
    {
        _memory.AccessesToLive = -1;
        _ringMemory.AccessesToLive = -1;
    }

    private void Finish()
    {
        _finishing = true;
        while (_writers.Count > 0)
        {
            StepWriter(_writers[_dice.Below(_writers.Count)]);
            StepSaver(_savers[_dice.Below(_savers.Length)]);
            CheckRecords();
        }

        while (_book.Sweep(1))
        {
        }

        ReadAll();
        while (!_ring.IsEmpty)
        {
            StepSaver(_savers[_dice.Below(_savers.Length)]);
        }

        ReadAll(); // from the data file alone
        CheckSpace();
    }

    private void ReadAll()
    {
        foreach (uint number in _model.Keys.ToArray())
        {
            Reader all = new(number, 0) { Plan = new int[_blocks], Bytes = new int[_origin.Length] };
            Demand(_book.Locate(number, 0, all.Plan) == StoreReadStatus.Reading, $"snapshot {number} can't be read at the end");
            _readers.Add(all);
            while (_readers.Contains(all))
            {
                StepReader(all);
            }
        }
    }

    /// <summary>Every slot that is taken is needed, counted the naive way.</summary>
    private void CheckSpace()
    {
        SlotTable table = SlotTable.TryOpen(_memory.Memory)!;
        List<(long Block, uint Key)> versions = [];
        for (int slot = 0; slot < table.Geometry.Slots; slot++)
        {
            if (table.TryRead(slot, out long block, out uint key))
            {
                versions.Add((block, key));
            }
        }

        Demand(versions.Distinct().Count() == versions.Count, $"two of {versions.Count} versions have one block and one key");
        Demand(versions.Count == table.Geometry.Slots - _book.FreeSlots, $"{versions.Count} versions, but {_book.FreeSlots} of {table.Geometry.Slots} slots are free");
        foreach ((long block, uint key) in versions)
        {
            uint older = versions.Where(other => other.Block == block && other.Key < key).Select(other => other.Key).DefaultIfEmpty().Max();
            Demand(_model.Keys.Any(number => number > older && number <= key), $"nobody needs the version of block {block} with key {key}");
        }

        uint[] numbers = [.. _model.Keys.Order()];
        HeldVersions[] sums = new HeldVersions[numbers.Length];
        _book.Measure(0, table.Geometry.Slots, numbers, sums);
        for (int at = 0; at < numbers.Length; at++)
        {
            long held = versions.Select(version => version.Block).Distinct().Count(block => versions.Any(version => version.Block == block && version.Key >= numbers[at]));
            Demand(sums[at].Alone + sums[at].Shared == held, $"snapshot {numbers[at]} holds {held} blocks, but {sums[at]} were counted");
        }
    }

    private void Count(string what) => Tally[what] = Tally.GetValueOrDefault(what) + 1;

    private static void Demand(bool condition, [InterpolatedStringHandlerArgument(nameof(condition))] DemandMessage message)
    {
        if (!condition)
        {
            throw new SimulationException(message.ToText());
        }
    }

    private enum WriterPhase
    {
        Asking,
        Saving,
        Landing,
    }

    private sealed class Writer(int number, int first, int end)
    {
        public int Number => number;

        public int First => first;

        public int End => end;

        public WriterPhase Phase { get; set; }

        public SaveBatch? Batch { get; set; }

        public int At { get; set; }

        public int Saved { get; set; } // blocks of the batch that are in the ring

        public long Position { get; set; }

        public int Given { get; set; } // cells that are being filled
    }

    private sealed class Saver
    {
        public SpillRun Run { get; set; }

        public int At { get; set; }

        public bool HasLost { get; set; }
    }

    private sealed class Reader(uint number, int first)
    {
        public uint Number => number;

        public int First => first;

        public int[] Plan { get; set; } = [];

        public int[] Bytes { get; set; } = [];

        public int At { get; set; }

        public long Position { get; set; } // of the cell that its block is read from; -1: from the data file
    }
}
