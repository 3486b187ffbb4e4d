using Quench.Interop.Bpf;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Snapshots.Writes;

/// <summary>
/// Writes the two programs that tell who writes to a volume.
///
///     a page becomes dirty        its file lies on the volume: who did it is noted, by page and by file
///     a request is submitted      it changes the volume: an event for each run of its pages that one process wrote, and the file's path unless it was told already
///
/// The second runs in whoever submits: the process itself for a direct write or an fsync, a thread of the kernel for what is written back later. So for data from a file's cache the table of
/// pages says who, and for everything else the submitter is the one.
/// </summary>
/// <remarks>
/// Registers of the second: r6 the bio, then the present page; r7 the bytes of the request, then this processor's memory; r8 and r9 as each part says. Its stack is drawn below, from its end down.
/// </remarks>
internal sealed partial class WriteProgram
{
    /// <summary>Directories that a path may be deep; of a deeper one the end is told.</summary>
    internal const int PathDepth = 20;

    // Helpers. (linux/bpf.h, enum bpf_func_id)
    private const int LookUpElement = 1;
    private const int UpdateElement = 2;
    private const int DeleteElement = 3;
    private const int MonotonicTime = 5;
    private const int Processor = 8;
    private const int ProcessAndThread = 14;
    private const int CurrentTask = 35;
    private const int ReadKernelText = 115; // Linux 5.5
    private const int RingOutput = 130;     // Linux 5.8
    private const int RingReserve = 131;
    private const int RingSubmit = 132;

    private const int NoWakeUp = 1;           // BPF_RB_NO_WAKEUP: user space looks by itself
    private const int KernelThreadShift = 21; // PF_KTHREAD, 0x00200000, the same in all versions (linux/sched.h)
    private const int OperationMask = 0xFF;   // (linux/blk_types.h, REQ_OP_MASK)
    private const int Write = 1;
    private const int ZoneAppend = 7;
    private const int SectorShift = 9;
    private const int NotACache = 3;          // the lowest bits of a page's mapping: a process's own memory (linux/page-flags.h)
    private const int VectorBytes = 16;       // bio_vec: page, length (four bytes), offset in the page (four bytes)

    private const int Scratch = -8;
    private const int Record = -88;           // WriteRecord, 80 bytes
    private const int RecordSource = Record + 32;
    private const int Who = -112;             // 24 bytes: process, flags, name
    private const int PageKey = -128;         // 16 bytes
    private const int FileKey = -144;         // 16 bytes
    private const int NameHash = -152;
    private const int Vector = -160;          // the address of the present run of pages
    private const int VectorPages = -176;     // the run itself, 16 bytes
    private const int LastHead = -184;
    private const int Found = -208;           // 24 bytes: the present page's writer, as in the table
    private const int Index = -216;

    private readonly BpfAssembler _code = new();
    private readonly BpfLabel _end = new();
    private readonly BpfLabel _unread = new();
    private readonly WriteLayout _layout;
    private readonly WriteTarget _target;
    private readonly WriteMaps _maps;

    private WriteProgram(WriteLayout layout, WriteTarget target, WriteMaps maps) => (_layout, _target, _maps) = (layout, target, maps);

    /// <summary>The program that hears pages become dirty: folio and mapping are handed over.</summary>
    public static ulong[] ForDirtyPages(WriteLayout layout, WriteTarget target, WriteMaps maps)
    {
        WriteProgram program = new(layout, target, maps);
        program.NoteWriter();
        return program.End();
    }

    /// <summary>The program that hears requests.</summary>
    public static ulong[] ForRequests(WriteLayout layout, WriteTarget target, WriteMaps maps)
    {
        WriteProgram program = new(layout, target, maps);
        BpfLabel emit = new();
        program.Hear();
        program.FillEvent();
        program.TakeSender();
        program.OnlyData(emit);
        program.AskDirect(emit);
        program.AskCache(emit);
        program.WalkPages(emit);
        program._code.Place(emit);
        program.Emit();
        return program.End();
    }

    private void NoteWriter()
    {
        BpfLabel mine = new();
        BpfLabel note = new();
        BpfLabel noted = new();
        _code.Load(BpfWidth.Eight, R6, R1, 0);
        _code.Load(BpfWidth.Eight, R7, R1, sizeof(ulong));
        Read(BpfWidth.Eight, R9, R7, _layout.MappingHost);
        Read(BpfWidth.Eight, R8, R9, _layout.Inode.SuperBlock);
        Read(BpfWidth.Four, R8, R8, _layout.SuperBlockDevice);
        JumpIfOneOf(R8, _target.FileSystems, mine);
        Read(BpfWidth.Four, R8, R9, _layout.Inode.Device);
        JumpIfOneOf(R8, _target.Devices, mine);
        _code.Jump(_end);

        _code.Place(mine);
        FillWho();
        _code.Store(BpfWidth.Eight, R10, PageKey, R7);
        Read(BpfWidth.Eight, R1, R6, _layout.Folio.Index);
        _code.Store(BpfWidth.Eight, R10, PageKey + sizeof(ulong), R1);

        // The kernel's write-back makes a page dirty again that it could not write: whoever is noted for it stays so, until it has been sent.
        _code.Load(BpfWidth.Four, R1, R10, Who + sizeof(uint));
        _code.JumpIf(R1, BpfCondition.Equal, 0, note);
        Helper(LookUpElement, _maps.Pages, PageKey);
        _code.JumpIf(R0, BpfCondition.Equal, 0, note);
        _code.Load(BpfWidth.Four, R1, R0, sizeof(uint));
        _code.JumpIf(R1, BpfCondition.SharesBit, WriteRecord.IsSent, note);
        _code.Jump(_end);

        _code.Place(note);
        Update(_maps.Pages, PageKey, Who);
        _code.JumpIf(R0, BpfCondition.Equal, 0, noted);
        Helper(DeleteElement, _maps.Pages, PageKey); // an older writer's entry would be wrong now
        Count(WriteWord.Unnoted, 1);
        _code.Place(noted);
        Update(_maps.Files, PageKey, Who);
    }

    /// <summary>Goes on only for a request that changes the volume. r6 is the bio then, r7 its bytes, r8 its operation; its offset is in the record.</summary>
    private void Hear()
    {
        RequestParts();
        BpfLabel inside = new();
        BpfLabel flush = new();
        _code.JumpIf(R7, BpfCondition.Equal, 0, flush);
        Read(BpfWidth.Eight, R9, R6, _layout.Request.BioSector);
        _code.Compute(BpfArithmetic.ShiftLeft, R9, SectorShift);
        _code.LoadConstant(R1, (ulong)_target.Range.Start);
        _code.Compute(BpfArithmetic.Subtract, R9, R1);
        _code.LoadConstant(R1, (ulong)_target.Range.Length);
        _code.JumpIf(R9, BpfCondition.SignedNotLess, R1, _end);
        _code.Move(R1, R9);
        _code.Compute(BpfArithmetic.Add, R1, R7);
        _code.JumpIf(R1, BpfCondition.SignedNotGreater, 0, _end);
        _code.Jump(inside);
        _code.Place(flush); // has no place on the disk; it was sent to the disk or to one of its partitions
        _code.Move(R9, 0);
        if (!_target.IsWholeDisk)
        {
            Read(BpfWidth.Eight, R1, R6, _layout.BioDevice);
            Read(BpfWidth.Four, R1, R1, _layout.DeviceNumber);
            _code.Compute(BpfArithmetic.Subtract, R1, unchecked((int)_target.Device));
            _code.JumpIf(R1, BpfCondition.NotEqual, 0, _end);
        }

        _code.Place(inside);
        _code.Store(BpfWidth.Eight, R10, Record + 16, R9);
    }

    /// <summary>Goes on for a request of this disk that changes it.</summary>
    private void RequestParts()
    {
        _code.Load(BpfWidth.Eight, R6, R1, _layout.Request.SubmittedBioAt * sizeof(ulong));
        Read(BpfWidth.Four, R8, R6, _layout.Request.BioFlags);
        _code.Compute(BpfArithmetic.And, R8, OperationMask);
        _code.Move(R9, R6);
        foreach (int pointer in _layout.Request.BioToDisk)
        {
            Read(BpfWidth.Eight, R9, R9, pointer);
            _code.JumpIf(R9, BpfCondition.Equal, 0, _end);
        }

        Read(BpfWidth.Eight, R9, R9, _layout.Request.DiskNumber);
        _code.LoadConstant(R1, _target.Range.DiskMajor | ((ulong)_target.Range.DiskFirstMinor << 32));
        _code.JumpIf(R9, BpfCondition.NotEqual, R1, _end);
        Count(WriteWord.Heard, 1);
        BpfLabel changes = new();
        _code.JumpIf(R8, BpfCondition.SharesBit, 1, changes); // odd operations change the device
        _code.Jump(_end);
        _code.Place(changes);
        Read(BpfWidth.Four, R7, R6, _layout.Request.BioBytes);
    }

    private void FillEvent()
    {
        _code.Move(R1, WriteRecord.Event);
        _code.Store(BpfWidth.Four, R10, Record, R1);
        _code.Store(BpfWidth.Four, R10, Record + 4, R8);
        _code.Store(BpfWidth.Eight, R10, Record + 24, R7);
        _code.Call(MonotonicTime);
        _code.Store(BpfWidth.Eight, R10, Record + 8, R0);
        ForgetFile();
        FillWho();
    }

    /// <summary>No file, and the sender is the one.</summary>
    private void ForgetFile()
    {
        _code.Move(R1, 0);
        for (int at = 0; at < 24; at += sizeof(ulong))
        {
            _code.Store(BpfWidth.Eight, R10, RecordSource + at, R1); // inode, file system, generation, kind, how
        }
    }

    /// <summary>Puts the present process onto the stack: its number, whether it is one of the kernel's, the name of its first thread.</summary>
    private void FillWho()
    {
        _code.Call(ProcessAndThread);
        _code.Compute(BpfArithmetic.ShiftRight, R0, 32);
        _code.Store(BpfWidth.Four, R10, Who, R0);
        _code.Call(CurrentTask);
        _code.Move(R9, R0);
        Read(BpfWidth.Four, R1, R9, _layout.Task.Flags);
        _code.Compute(BpfArithmetic.ShiftRight, R1, KernelThreadShift);
        _code.Compute(BpfArithmetic.And, R1, WriteRecord.IsKernel);
        _code.Store(BpfWidth.Four, R10, Who + sizeof(uint), R1);
        Read(BpfWidth.Eight, R9, R9, _layout.Task.Leader);
        _code.CopyKernel(Who + 8, WriteRecord.NameBytes, R9, _layout.Task.Name, _unread);
    }

    private void TakeSender() => Copy(Who, Record + 56, WriteMaps.WhoBytes);

    /// <summary>Discards, zeroes and flushes have no data that could be asked where it comes from.</summary>
    private void OnlyData(BpfLabel emit)
    {
        BpfLabel data = new();
        _code.JumpIf(R7, BpfCondition.Equal, 0, emit);
        _code.JumpIf(R8, BpfCondition.Equal, Write, data);
        _code.JumpIf(R8, BpfCondition.NotEqual, ZoneAppend, emit);
        _code.Place(data);
    }

    /// <summary>A direct write through the file system: its sender wrote, and its file is known by the call.</summary>
    private void AskDirect(BpfLabel emit)
    {
        if (_layout.Direct is not { } direct)
        {
            return;
        }

        BpfLabel buffered = new();
        Read(BpfWidth.Eight, R9, R6, _layout.BioEnd);
        _code.LoadConstant(R1, direct.End);
        _code.JumpIf(R9, BpfCondition.NotEqual, R1, buffered);
        Read(BpfWidth.Eight, R9, R6, _layout.BioPrivate);
        Read(BpfWidth.Eight, R9, R9, direct.Call);
        Read(BpfWidth.Eight, R9, R9, direct.File);
        Read(BpfWidth.Eight, R9, R9, direct.Inode);
        DescribeFile(emit);
        TellName();
        _code.Jump(emit);
        _code.Place(buffered);
    }

    /// <summary>Data from a file's cache: which file. The run of pages is on the stack then, and its first page in r6.</summary>
    private void AskCache(BpfLabel emit)
    {
        _code.Call(Processor);
        _code.Store(BpfWidth.Four, R10, Index, R0);
        _code.LoadMap(R1, _maps.Scratch);
        _code.Move(R2, R10);
        _code.Compute(BpfArithmetic.Add, R2, Index);
        _code.Call(LookUpElement);
        _code.JumpIf(R0, BpfCondition.Equal, 0, _unread);
        _code.Store(BpfWidth.Eight, R0, Left, R7);
        _code.Move(R7, R0);
        Read(BpfWidth.Eight, R9, R6, _layout.Bio.Vectors);
        _code.JumpIf(R9, BpfCondition.Equal, 0, emit);
        Read(BpfWidth.Four, R1, R6, _layout.Bio.Done);
        _code.Store(BpfWidth.Eight, R7, VectorDone, R1);
        Read(BpfWidth.Four, R1, R6, _layout.Bio.Index);
        _code.Compute(BpfArithmetic.ShiftLeft, R1, int.Log2(VectorBytes));
        _code.Compute(BpfArithmetic.Add, R9, R1);
        _code.Store(BpfWidth.Eight, R10, Vector, R9);
        LoadVector();
        ToHead(R8);
        Read(BpfWidth.Eight, R8, R8, _layout.Folio.Mapping);
        _code.JumpIf(R8, BpfCondition.Equal, 0, emit);
        _code.JumpIf(R8, BpfCondition.SharesBit, NotACache, emit);
        _code.Store(BpfWidth.Eight, R10, PageKey, R8);
        Read(BpfWidth.Eight, R9, R8, _layout.MappingHost);
        _code.JumpIf(R9, BpfCondition.Equal, 0, emit);
        DescribeFile(emit);
        TellName();
    }

    /// <summary>Puts the inode in r9 into the record. When it lies elsewhere, the data is a process's own that it has mapped: no file is told, and it goes on at the label.</summary>
    private void DescribeFile(BpfLabel elsewhere)
    {
        BpfLabel file = new();
        BpfLabel device = new();
        BpfLabel described = new();
        Read(BpfWidth.Eight, R8, R9, _layout.Inode.SuperBlock);
        Read(BpfWidth.Four, R8, R8, _layout.SuperBlockDevice);
        JumpIfOneOf(R8, _target.FileSystems, file);
        Read(BpfWidth.Four, R8, R9, _layout.Inode.Device);
        JumpIfOneOf(R8, _target.Devices, device);
        _code.Jump(elsewhere);

        _code.Place(device);
        _code.Move(R1, WriteRecord.DeviceCache);
        _code.Store(BpfWidth.Four, R10, Record + 48, R1);
        _code.Jump(described);

        _code.Place(file);
        _code.Store(BpfWidth.Four, R10, Record + 40, R8);
        Read(BpfWidth.Eight, R1, R9, _layout.Inode.Number);
        _code.Store(BpfWidth.Eight, R10, Record + 32, R1);
        Read(BpfWidth.Four, R1, R9, _layout.Inode.Generation);
        _code.Store(BpfWidth.Four, R10, Record + 44, R1);
        _code.Move(R1, WriteRecord.File);
        _code.Store(BpfWidth.Four, R10, Record + 48, R1);
        _code.Place(described);
    }

    /// <summary>Tells the path of the inode in r9, part by part from its end, unless it was told under this name already. r8 and r9 are lost.</summary>
    private void TellName()
    {
        BpfLabel told = new();
        BpfLabel tell = new();
        BpfLabel noRoom = new();
        BpfLabel root = new();
        Read(BpfWidth.Eight, R9, R9, _layout.Inode.FirstName);
        _code.JumpIf(R9, BpfCondition.Equal, 0, told); // no name: a file that was deleted and is still open, or the cache of a device
        _code.Compute(BpfArithmetic.Subtract, R9, _layout.Name.Alias);
        Read(BpfWidth.Eight, R8, R9, _layout.Name.Hash); // it follows from the directory too
        _code.Store(BpfWidth.Eight, R10, NameHash, R8);
        Copy(RecordSource, FileKey, WriteMaps.FileKeyBytes);
        Helper(LookUpElement, _maps.Names, FileKey);
        _code.JumpIf(R0, BpfCondition.Equal, 0, tell);
        _code.Load(BpfWidth.Eight, R1, R0, 0);
        _code.JumpIf(R1, BpfCondition.Equal, R8, told);
        _code.Place(tell);
        for (int depth = 0; depth < PathDepth; depth++)
        {
            TellPart(depth, noRoom, root);
        }

        _code.Place(root);
        Update(_maps.Names, FileKey, NameHash);
        _code.Jump(told);
        _code.Place(noRoom);
        Count(WriteWord.LostNames, 1);
        _code.Place(told);
    }

    /// <summary>Tells one name, of the dentry in r9; it is its directory's then.</summary>
    private void TellPart(int depth, BpfLabel noRoom, BpfLabel root)
    {
        BpfLabel isNoRoot = new();
        Read(BpfWidth.Eight, R1, R9, _layout.Name.Parent);
        _code.Store(BpfWidth.Eight, R10, Found, R1);
        _code.LoadMap(R1, _maps.Events);
        _code.Move(R2, WriteRecord.PathBytes);
        _code.Move(R3, 0);
        _code.Call(RingReserve);
        _code.JumpIf(R0, BpfCondition.Equal, 0, noRoom);
        _code.Move(R8, R0);
        _code.Move(R1, WriteRecord.PathPart);
        _code.Store(BpfWidth.Four, R8, 0, R1);
        _code.Load(BpfWidth.Eight, R1, R10, Record + 8);
        _code.Store(BpfWidth.Eight, R8, 8, R1);
        _code.Load(BpfWidth.Eight, R1, R10, FileKey);
        _code.Store(BpfWidth.Eight, R8, 16, R1);
        _code.Load(BpfWidth.Eight, R1, R10, FileKey + 8);
        _code.Store(BpfWidth.Eight, R8, 24, R1);
        _code.Move(R1, depth);
        _code.Store(BpfWidth.Eight, R8, 32, R1);
        _code.Move(R1, 0);
        _code.Store(BpfWidth.Eight, R8, WriteRecord.TextAt, R1); // what a name that can't be read shows as
        _code.CopyKernel(Scratch, sizeof(ulong), R9, _layout.Name.Text, onFault: null);
        _code.Load(BpfWidth.Eight, R3, R10, Scratch);
        _code.Move(R1, R8);
        _code.Compute(BpfArithmetic.Add, R1, WriteRecord.TextAt);
        _code.Move(R2, WriteRecord.TextBytes);
        _code.Call(ReadKernelText);
        _code.Load(BpfWidth.Eight, R1, R10, Found);
        _code.Move(R2, 0);
        _code.JumpIf(R1, BpfCondition.NotEqual, R9, isNoRoot);
        _code.Move(R2, 1);
        _code.Place(isNoRoot);
        _code.Store(BpfWidth.Four, R8, 4, R2);
        _code.Move(R1, R8);
        _code.Move(R2, NoWakeUp);
        _code.Move(R8, R9);
        _code.Call(RingSubmit);
        _code.Load(BpfWidth.Eight, R9, R10, Found);
        _code.JumpIf(R9, BpfCondition.Equal, R8, root);
    }

    /// <summary>Puts the record into the ring; counts it as lost when there is no room.</summary>
    private void Emit()
    {
        BpfLabel done = new();
        _code.LoadMap(R1, _maps.Events);
        _code.Move(R2, R10);
        _code.Compute(BpfArithmetic.Add, R2, Record);
        _code.Move(R3, WriteRecord.EventBytes);
        _code.Move(R4, NoWakeUp);
        _code.Call(RingOutput);
        _code.JumpIf(R0, BpfCondition.Equal, 0, done);
        Count(WriteWord.LostEvents, 1);
        _code.Load(BpfWidth.Eight, R1, R10, Record + 24);
        Add(WriteWord.LostBytes, R1);
        _code.Place(done);
    }

    private void JumpIfOneOf(BpfRegister register, IReadOnlyList<uint> numbers, BpfLabel target)
    {
        foreach (uint number in numbers)
        {
            _code.LoadConstant(R1, number);
            _code.JumpIf(register, BpfCondition.Equal, R1, target);
        }
    }

    /// <summary>Calls a helper that takes a table and the address of a key on the stack.</summary>
    private void Helper(int helper, BpfTable table, int key)
    {
        _code.LoadMap(R1, table);
        _code.Move(R2, R10);
        _code.Compute(BpfArithmetic.Add, R2, key);
        _code.Call(helper);
    }

    private void Update(BpfTable table, int key, int value)
    {
        _code.Move(R3, R10);
        _code.Compute(BpfArithmetic.Add, R3, value);
        _code.Move(R4, 0); // whether it is there or not
        Helper(UpdateElement, table, key);
    }

    /// <summary>Copies a part of the stack, a multiple of eight bytes; r1 is lost.</summary>
    private void Copy(int from, int to, int bytes)
    {
        for (int at = 0; at < bytes; at += sizeof(ulong))
        {
            _code.Load(BpfWidth.Eight, R1, R10, from + at);
            _code.Store(BpfWidth.Eight, R10, to + at, R1);
        }
    }

    private void Read(BpfWidth width, BpfRegister into, BpfRegister from, int offset) => _code.ReadKernel(width, into, from, offset, Scratch, _unread);

    /// <summary>The same for a page of a request, whose memory is there; without a branch, of which a loop can't have many.</summary>
    private void ReadOrZero(BpfWidth width, BpfRegister into, BpfRegister from, int offset) => _code.ReadKernel(width, into, from, offset, Scratch, onFault: null);

    private void Count(WriteWord word, int amount)
    {
        _code.Move(R1, amount);
        Add(word, R1);
    }

    /// <summary>Adds r1, which is lost, to a counter; r2 is lost too.</summary>
    private void Add(WriteWord word, BpfRegister amount)
    {
        _code.LoadMapValue(R2, _maps.Control, (int)word * sizeof(ulong));
        _code.AtomicFetchAdd(R2, 0, amount);
    }

    private ulong[] End()
    {
        _code.Jump(_end);
        _code.Place(_unread);
        Count(WriteWord.Unread, 1);
        _code.Place(_end);
        _code.Move(R0, 0);
        _code.Exit();
        return _code.Assemble();
    }
}
