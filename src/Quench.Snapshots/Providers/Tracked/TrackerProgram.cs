using Quench.Interop.Bpf;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Writes the programs that watch a disk in the kernel: one hears what is submitted, the other what has landed. Both do the same with what they hear:
///
///     a read                                   nothing, unless user space listens for its own
///     another disk                             nothing
///     write, discard, secure erase, zeroes     its range, cut to the tracked one: bits, or one log entry when it is longer than 15 words of bits
///     any other request that changes           counted as unknown: the map is in doubt then
///
/// A discard that has landed may be many discards in one request, with gaps between them: its bios are walked. Whatever can't be noted is counted as lost.
/// A tracker that stands between backups has no log. It marks whole words of a range that is too long, and such a discard only when it is submitted: one that was under way at an instant is known
/// to the tracker of that backup, which walks it.
///
/// Each runs as two copies, one after the other (<see cref="TrackerTurn"/>): what comes in an interrupt while one copy runs is left out there by the kernel, and heard by the other.
/// The first notes on its processor which request it has taken and the second strikes that out; when there is nothing to strike out, the first was left out, and the second does its work.
/// </summary>
/// <remarks>
/// Registers: r6 the request or bio, then the first block; r7 the count of bytes, then the last block; r8 the word; r9 the last word. The stack, from its end down:
/// eight bytes of scratch, four of a map's index, then what was read of kernel memory, the address of what this processor keeps for itself, last the beginning of the request or bio.
/// </remarks>
internal sealed partial class TrackerProgram
{
    /// <summary>A range that touches more words of the map than this goes into the log.</summary>
    internal const int WordsInProgram = 16;

    /// <summary>Words that a tracker without a log marks of one range: those of 4 GiB, more than a bio can hold, at its coarse blocks.</summary>
    internal const int WordsInRange = 1040;

    /// <summary>Discards in one request that are walked.</summary>
    internal const int BiosWalked = 64;

    private const int LookUpElement = 1;       // bpf_map_lookup_elem (linux/bpf.h, enum bpf_func_id)
    private const int OperationMask = 0xFF;    // (linux/blk_types.h, REQ_OP_MASK); these numbers have been the same since 4.10
    private const int Write = 1;               // odd operations change the device
    private const int Discard = 3;
    private const int SecureErase = 5;
    private const int WriteZeroes = 9;
    private const int SectorShift = 9;
    private const int Scratch = -8;
    private const int Index = -16;
    private const int Value = -24;
    private const int Operation = -32;
    private const int Sector = -40;
    private const int MostHead = 96;           // bytes of a request's beginning that are read at once; both structures are longer
    private const int Local = -48;
    private const int Head = Local - MostHead;

    private readonly BpfAssembler _code = new();
    private readonly BpfLabel _end = new();
    private readonly BpfLabel _lost = new();
    private readonly BpfLabel _unknown = new();
    private readonly RequestLayout _layout;
    private readonly TrackerTarget _target;
    private readonly TrackerMaps _maps;
    private int _headBytes;

    private TrackerProgram(RequestLayout layout, TrackerTarget target, TrackerMaps maps)
    {
        _layout = layout;
        _target = target;
        _maps = maps;
    }

    /// <summary>The program that hears submissions.</summary>
    public static ulong[] ForSubmission(RequestLayout layout, TrackerTarget target, TrackerMaps maps, TrackerTurn turn)
    {
        TrackerProgram program = new(layout, target, maps);
        program._code.Load(BpfWidth.Eight, R6, R1, layout.SubmittedBioAt * sizeof(ulong));
        program.TakeTurn(turn, TrackerLocal.TakenQueued);
        program.ReadHead(layout.BioFlags, layout.BioBytes, layout.BioSector, layout.BioToDisk[0]);
        program.Hear(layout.BioFlags, layout.BioToDisk, TrackerWord.HeardSubmitted);
        program.ReadOwn(BpfWidth.Four, layout.BioBytes, R7);
        program.CountHeard(TrackerLocal.QueuedBytes);
        program.ReadOwn(BpfWidth.Eight, layout.BioSector, R1);
        program.Mark(countBytes: false);
        return program.End();
    }

    /// <summary>The program that hears completions.</summary>
    public static ulong[] ForCompletion(RequestLayout layout, TrackerTarget target, TrackerMaps maps, TrackerTurn turn)
    {
        TrackerProgram program = new(layout, target, maps);
        BpfLabel single = new();
        program._code.Load(BpfWidth.Eight, R6, R1, layout.CompletedRequestAt * sizeof(ulong));
        program._code.Load(BpfWidth.Four, R7, R1, layout.CompletedBytesAt * sizeof(ulong));
        program.TakeTurn(turn, TrackerLocal.TakenLanded);
        program.ReadHead(layout.RequestFlags, layout.RequestSector, layout.RequestBio, layout.RequestToDisk[0]);
        program.Hear(layout.RequestFlags, layout.RequestToDisk, TrackerWord.HeardCompleted);
        program.CountHeard(TrackerLocal.LandedBytes);
        program.ReadOwn(BpfWidth.Eight, layout.RequestSector, R1);
        program._code.Store(BpfWidth.Eight, R10, Sector, R1);
        program.WalkDiscards(single);
        program._code.Place(single);
        program._code.Load(BpfWidth.Eight, R1, R10, Sector);
        program.Mark(countBytes: maps.Log is not null);
        return program.End();
    }

    /// <summary>Copies the beginning of the structure at r6 onto the stack, as far as these fields reach: one call for all of them.</summary>
    private void ReadHead(params ReadOnlySpan<int> fields)
    {
        foreach (int field in fields)
        {
            int end = field + sizeof(ulong);
            _headBytes = end > MostHead ? _headBytes : Math.Max(_headBytes, end);
        }

        _code.CopyKernel(Head, _headBytes, R6, 0, _lost);
    }

    /// <summary>Reads a field of the structure at r6.</summary>
    private void ReadOwn(BpfWidth width, int offset, BpfRegister into)
    {
        if (offset + sizeof(ulong) <= _headBytes)
        {
            _code.Load(width, into, R10, Head + offset);
        }
        else
        {
            ReadField(width, R6, offset, into);
        }
    }

    /// <summary>Goes on only for a request that changes the disk, and counts that it was heard. The operation is on the stack then.</summary>
    private void Hear(int flags, IReadOnlyList<int> toDisk, TrackerWord heard)
    {
        BpfLabel changes = new();
        BpfLabel onDisk = new();
        ReadOwn(BpfWidth.Four, flags, R8);
        _code.Compute(BpfArithmetic.And, R8, OperationMask);
        _code.JumpIf(R8, BpfCondition.SharesBit, 1, changes);
        _code.LoadMapValue(R1, _maps.Control, ByteOf(TrackerWord.Listen));
        _code.Load(BpfWidth.Eight, R1, R1, 0);
        _code.JumpIf(R1, BpfCondition.Equal, 0, _end);
        _code.Place(changes);
        _code.Store(BpfWidth.Eight, R10, Operation, R8);
        ReadOwn(BpfWidth.Eight, toDisk[0], R9);
        _code.JumpIf(R9, BpfCondition.Equal, 0, _end); // a flush of the driver's own has no disk
        foreach (int pointer in toDisk.Skip(1))
        {
            ReadField(BpfWidth.Eight, R9, pointer, R9);
            _code.JumpIf(R9, BpfCondition.Equal, 0, _end);
        }

        ReadField(BpfWidth.Eight, R9, _layout.DiskNumber, R9);
        _code.LoadConstant(R1, _target.DiskMajor | ((ulong)_target.DiskFirstMinor << 32));
        _code.JumpIf(R9, BpfCondition.NotEqual, R1, _end);
        CountWhileListening(heard);
        _code.JumpIf(R8, BpfCondition.Equal, Write, onDisk);
        _code.JumpIf(R8, BpfCondition.Equal, Discard, onDisk);
        _code.JumpIf(R8, BpfCondition.Equal, SecureErase, onDisk);
        _code.JumpIf(R8, BpfCondition.Equal, WriteZeroes, onDisk);
        _code.JumpIf(R8, BpfCondition.SharesBit, 1, _unknown);
        _code.Jump(_end);
        _code.Place(onDisk);
    }

    /// <summary>Notes each bio of a discard that has more than one. A request with one, or another operation, goes to the label.</summary>
    private void WalkDiscards(BpfLabel single)
    {
        BpfLabel next = new();
        BpfLabel noted = new();
        _code.Load(BpfWidth.Eight, R1, R10, Operation);
        _code.JumpIf(R1, BpfCondition.NotEqual, Discard, single);
        ReadOwn(BpfWidth.Eight, _layout.RequestBio, R6);
        _code.JumpIf(R6, BpfCondition.Equal, 0, single);
        ReadField(BpfWidth.Eight, R6, _layout.BioNext, R1);
        _code.JumpIf(R1, BpfCondition.Equal, 0, single);
        if (_maps.Log is null)
        {
            _code.Jump(_end);
            return;
        }

        _code.Move(R9, 0);
        _code.Place(next);
        _code.JumpIf(R9, BpfCondition.NotLess, BiosWalked, _lost);
        ReadField(BpfWidth.Four, R6, _layout.BioBytes, R7);
        ReadField(BpfWidth.Eight, R6, _layout.BioSector, R8);
        Cut(R8, R7, noted);
        CountBytes(R8, R7);
        ToBlocks(R8, R7);
        Log(_maps.Log, R8, R7);
        _code.Place(noted);
        _code.Compute(BpfArithmetic.Add, R9, 1);
        ReadField(BpfWidth.Eight, R6, _layout.BioNext, R6);
        _code.JumpIf(R6, BpfCondition.NotEqual, 0, next);
        _code.Jump(_end);
    }

    /// <summary>Marks r7 bytes from the sector in r1.</summary>
    private void Mark(bool countBytes)
    {
        BpfLabel isLong = new();
        _code.Move(R6, R1);
        Cut(R6, R7, _end);
        if (countBytes)
        {
            CountBytes(R6, R7);
        }

        ToBlocks(R6, R7);
        _code.Move(R8, R6);
        _code.Compute(BpfArithmetic.ShiftRight, R8, 6);
        _code.Move(R9, R7);
        _code.Compute(BpfArithmetic.ShiftRight, R9, 6);
        if (_maps.Log is null)
        {
            _code.LoadMapValue(R1, _maps.Control, 0);
            _code.Load(BpfWidth.Eight, R1, R1, ByteOf(TrackerWord.Plane));
            _code.Compute(BpfArithmetic.Add, R8, R1);
            _code.Compute(BpfArithmetic.Add, R9, R1);
        }

        _code.Move(R1, R9);
        _code.Compute(BpfArithmetic.Subtract, R1, R8);
        _code.JumpIf(R1, BpfCondition.NotLess, WordsInProgram, isLong);
        for (int word = 0; word < WordsInProgram; word++)
        {
            MarkWord(isFirst: word == 0);
        }

        _code.Jump(_lost);
        _code.Place(isLong);
        if (_maps.Log is { } log)
        {
            Log(log, R6, R7);
        }
        else
        {
            MarkWords();
        }
    }

    /// <summary>Sets all bits of the words r8 to r9: at both ends more than the range.</summary>
    private void MarkWords()
    {
        BpfLabel next = new();
        _code.Move(R6, 0);
        _code.Place(next);
        _code.JumpIf(R6, BpfCondition.NotLess, WordsInRange, _lost);
        Find(_maps.Bits, R8);
        _code.Move(R1, -1);
        _code.Store(BpfWidth.Eight, R0, 0, R1);
        _code.Compute(BpfArithmetic.Add, R8, 1);
        _code.Compute(BpfArithmetic.Add, R6, 1);
        _code.JumpIf(R9, BpfCondition.NotLess, R8, next);
    }

    /// <summary>Sets the bits of blocks r6 to r7 that lie in word r8; ends when that was the last, r9.</summary>
    private void MarkWord(bool isFirst)
    {
        BpfLabel isWhole = new();
        BpfLabel isMarked = new();
        _code.Move(R1, -1);
        if (isFirst)
        {
            _code.Move(R2, R6);
            _code.Compute(BpfArithmetic.And, R2, 63);
            _code.Compute(BpfArithmetic.ShiftLeft, R1, R2);
        }

        _code.JumpIf(R8, BpfCondition.NotEqual, R9, isWhole);
        _code.Move(R2, R7);
        _code.Compute(BpfArithmetic.And, R2, 63);
        _code.Move(R3, 63);
        _code.Compute(BpfArithmetic.Subtract, R3, R2);
        _code.Compute(BpfArithmetic.And, R3, 63);
        _code.Move(R2, -1);
        _code.Compute(BpfArithmetic.ShiftRight, R2, R3);
        _code.Compute(BpfArithmetic.And, R1, R2);
        _code.Place(isWhole);
        _code.Store(BpfWidth.Eight, R10, Value, R1);
        Find(_maps.Bits, R8);
        _code.Load(BpfWidth.Eight, R1, R10, Value);
        _code.Load(BpfWidth.Eight, R2, R0, 0);
        _code.Compute(BpfArithmetic.And, R2, R1);
        _code.JumpIf(R2, BpfCondition.Equal, R1, isMarked); // as it is most of the time, and then no processor needs the word for itself
        _code.AtomicOr(R0, 0, R1);
        _code.Place(isMarked);
        _code.JumpIf(R8, BpfCondition.NotLess, R9, _end);
        _code.Compute(BpfArithmetic.Add, R8, 1);
    }

    /// <summary>
    /// Turns a first sector and a count of bytes into the first byte and the byte behind the last, counted from the tracked range's start and cut to it. Goes to
    /// the label when nothing is left.
    /// </summary>
    private void Cut(BpfRegister start, BpfRegister end, BpfLabel nothing)
    {
        BpfLabel startIsInside = new();
        BpfLabel endIsInside = new();
        _code.JumpIf(end, BpfCondition.Equal, 0, nothing);
        _code.Compute(BpfArithmetic.ShiftLeft, start, SectorShift);
        _code.LoadConstant(R1, (ulong)_target.Start);
        _code.Compute(BpfArithmetic.Subtract, start, R1);
        _code.Compute(BpfArithmetic.Add, end, start);
        _code.JumpIf(end, BpfCondition.SignedNotGreater, 0, nothing);
        _code.LoadConstant(R1, (ulong)_target.Length);
        _code.JumpIf(start, BpfCondition.SignedNotLess, R1, nothing);
        _code.JumpIf(start, BpfCondition.SignedNotLess, 0, startIsInside);
        _code.Move(start, 0);
        _code.Place(startIsInside);
        _code.JumpIf(end, BpfCondition.SignedNotGreater, R1, endIsInside);
        _code.Move(end, R1);
        _code.Place(endIsInside);
    }

    /// <summary>Only then: processors that count into one word at each write would wait for each other.</summary>
    private void CountWhileListening(TrackerWord heard)
    {
        BpfLabel goOn = new();
        _code.LoadMapValue(R1, _maps.Control, ByteOf(TrackerWord.Listen));
        _code.Load(BpfWidth.Eight, R1, R1, 0);
        _code.JumpIf(R1, BpfCondition.Equal, 0, goOn);
        Count(heard, 1);
        _code.Place(goOn);
    }

    /// <summary>Adds r7 bytes to what this processor has heard of this disk, wherever they lie on it: the kernel's own statistics are compared with the sum.</summary>
    private void CountHeard(int word)
    {
        _code.Load(BpfWidth.Eight, R1, R10, Local);
        _code.Move(R2, R7);
        _code.AtomicFetchAdd(R1, word * sizeof(ulong), R2);
    }

    private void CountBytes(BpfRegister start, BpfRegister end)
    {
        _code.Move(R1, end);
        _code.Compute(BpfArithmetic.Subtract, R1, start);
        Add(TrackerWord.CompletedBytes, R1);
    }

    /// <summary>Turns bytes from here up to there into the first block and the last.</summary>
    private void ToBlocks(BpfRegister start, BpfRegister end)
    {
        int shift = int.Log2(_target.BlockSize);
        _code.Compute(BpfArithmetic.ShiftRight, start, shift);
        _code.Compute(BpfArithmetic.Subtract, end, 1);
        _code.Compute(BpfArithmetic.ShiftRight, end, shift);
    }

    /// <summary>Puts the blocks from first to last into the ring. The count goes in last, with a full barrier: a reader waits for it.</summary>
    private void Log(BpfMap log, BpfRegister first, BpfRegister last)
    {
        _code.LoadMapValue(R2, _maps.Control, 0);
        _code.Move(R1, 1);
        _code.AtomicFetchAdd(R2, ByteOf(TrackerWord.LogHead), R1);
        _code.Load(BpfWidth.Eight, R3, R2, ByteOf(TrackerWord.LogTail));
        _code.Move(R4, R1);
        _code.Compute(BpfArithmetic.Subtract, R4, R3);
        _code.JumpIf(R4, BpfCondition.NotLess, _maps.LogEntries, _lost);
        _code.Compute(BpfArithmetic.And, R1, _maps.LogEntries - 1);
        Find(log, R1);
        _code.Store(BpfWidth.Eight, R0, sizeof(ulong), first);
        _code.Move(R1, last);
        _code.Compute(BpfArithmetic.Subtract, R1, first);
        _code.Compute(BpfArithmetic.Add, R1, 1);
        _code.AtomicFetchAdd(R0, 0, R1);
    }

    /// <summary>Finds an entry of a map; r0 is its address.</summary>
    private void Find(BpfMap map, BpfRegister index)
    {
        _code.Store(BpfWidth.Four, R10, Index, index);
        _code.LoadMap(R1, map);
        _code.Move(R2, R10);
        _code.Compute(BpfArithmetic.Add, R2, Index);
        _code.Call(LookUpElement);
        _code.JumpIf(R0, BpfCondition.Equal, 0, _lost);
    }

    /// <summary>Reads a field of kernel memory: into = *(from + offset).</summary>
    private void ReadField(BpfWidth width, BpfRegister from, int offset, BpfRegister into) => _code.ReadKernel(width, into, from, offset, Scratch, _lost);

    private void Count(TrackerWord word, int amount)
    {
        _code.Move(R1, amount);
        Add(word, R1);
    }

    /// <summary>Adds r1, which is lost, to a counter; r2 is lost too.</summary>
    private void Add(TrackerWord word, BpfRegister amount)
    {
        _code.LoadMapValue(R2, _maps.Control, ByteOf(word));
        _code.AtomicFetchAdd(R2, 0, amount);
    }

    private ulong[] End()
    {
        _code.Jump(_end);
        _code.Place(_lost);
        Count(TrackerWord.Lost, 1);
        _code.Jump(_end);
        _code.Place(_unknown);
        Count(TrackerWord.Unknown, 1);
        _code.Place(_end);
        _code.Move(R0, 0);
        _code.Exit();
        return _code.Assemble();
    }

    private static int ByteOf(TrackerWord word) => (int)word * sizeof(ulong);
}
