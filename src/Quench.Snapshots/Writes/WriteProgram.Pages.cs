using Quench.Interop.Bpf;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Snapshots.Writes;

/// <summary>The second program's walk through the pages of a request: which process wrote which of them.</summary>
internal sealed partial class WriteProgram
{
    /// <summary>
    /// Folios of one request that are looked at: 2.25 MiB of single pages; large folios are one each. What follows goes to the last one's writer. The kernel checks a program by following both ways
    /// at each branch, and keeps no more than 8,192 branches for later; a turn of the loop has 13.
    /// </summary>
    internal const int FoliosWalked = 576;

    // This processor's own words of memory, at r7 while pages are walked. Not on the stack, because the kernel follows what it knows of a number there through every turn of the loop, and
    // finds no two turns alike; of what is read from a map it knows nothing.
    private const int Left = 0;               // bytes of the request
    private const int VectorLeft = 8;         // bytes of the run of pages
    private const int PageOffset = 16;        // where in the present page the run begins
    private const int RunBytes = 24;          // of the present writer's
    private const int RunHow = 32;            // how that writer is known
    private const int FoundHow = 40;          // how the present page's writer is known
    private const int FolioEnd = 48;          // the address of the struct page behind the present folio's last
    private const int VectorDone = 56;        // bytes of the next run of pages that belong to an earlier part of a request that was split

    /// <summary>Goes through the request's pages and puts each run of one writer's into the ring but the last, which the caller does.</summary>
    private void WalkPages(BpfLabel emit)
    {
        BpfLabel next = new();
        BpfLabel same = new();
        BpfLabel done = new();
        BpfLabel tooLong = new();
        BpfLabel nextVector = new();
        _code.Move(R1, 0);
        _code.Store(BpfWidth.Eight, R10, LastHead, R1);
        _code.Store(BpfWidth.Eight, R7, RunBytes, R1);
        _code.Move(R9, 0);

        _code.Place(next);
        _code.JumpIf(R9, BpfCondition.NotLess, FoliosWalked, tooLong);
        ToHead(R8);
        FindFolioEnd();
        _code.Load(BpfWidth.Eight, R1, R10, LastHead);
        _code.JumpIf(R1, BpfCondition.Equal, R8, same);
        _code.Store(BpfWidth.Eight, R10, LastHead, R8);
        ReadOrZero(BpfWidth.Eight, R1, R8, _layout.Folio.Index);
        _code.Store(BpfWidth.Eight, R10, PageKey + sizeof(ulong), R1);
        FindWriter();
        ChangeRun();

        _code.Place(same);
        CountFolio();
        _code.Load(BpfWidth.Eight, R1, R7, Left);
        _code.JumpIf(R1, BpfCondition.Equal, 0, done);
        _code.Compute(BpfArithmetic.Add, R9, 1);
        _code.Load(BpfWidth.Eight, R1, R7, VectorLeft);
        _code.JumpIf(R1, BpfCondition.Equal, 0, nextVector);
        _code.Load(BpfWidth.Eight, R6, R7, FolioEnd); // a run's pages lie side by side
        _code.Jump(next);
        _code.Place(nextVector);
        _code.Load(BpfWidth.Eight, R8, R10, Vector);
        _code.Compute(BpfArithmetic.Add, R8, VectorBytes);
        _code.Store(BpfWidth.Eight, R10, Vector, R8);
        LoadVector();
        _code.Jump(next);

        _code.Place(tooLong);
        _code.Load(BpfWidth.Eight, R1, R7, Left);
        Add(WriteWord.Approximate, R1);
        _code.Load(BpfWidth.Eight, R1, R7, Left);
        _code.Load(BpfWidth.Eight, R2, R7, RunBytes);
        _code.Compute(BpfArithmetic.Add, R1, R2);
        _code.Store(BpfWidth.Eight, R7, RunBytes, R1);
        _code.Place(done);
        TakeRun();
        _code.Jump(emit);
    }

    /// <summary>Puts the run's bytes, and how its writer is known, into the record.</summary>
    private void TakeRun()
    {
        _code.Load(BpfWidth.Eight, R1, R7, RunBytes);
        _code.Store(BpfWidth.Eight, R10, Record + 24, R1);
        _code.Load(BpfWidth.Eight, R1, R7, RunHow);
        _code.Store(BpfWidth.Four, R10, Record + 52, R1);
    }

    /// <summary>Finds who wrote the page of the key, and notes that it has been sent.</summary>
    private void FindWriter()
    {
        BpfLabel byFile = new();
        BpfLabel found = new();
        BpfLabel nobody = new();
        BpfLabel done = new();
        Helper(LookUpElement, _maps.Pages, PageKey);
        _code.JumpIf(R0, BpfCondition.Equal, 0, byFile);
        _code.Load(BpfWidth.Four, R1, R0, sizeof(uint));
        _code.Compute(BpfArithmetic.Or, R1, WriteRecord.IsSent);
        _code.Store(BpfWidth.Four, R0, sizeof(uint), R1);
        _code.Move(R2, WriteRecord.PageWriter);
        _code.Jump(found);
        _code.Place(byFile);
        Helper(LookUpElement, _maps.Files, PageKey);
        _code.JumpIf(R0, BpfCondition.Equal, 0, nobody);
        _code.Move(R2, WriteRecord.FileWriter);
        _code.Place(found);
        _code.Store(BpfWidth.Eight, R7, FoundHow, R2);
        for (int at = 0; at < WriteMaps.WhoBytes; at += sizeof(ulong))
        {
            _code.Load(BpfWidth.Eight, R1, R0, at);
            _code.Store(BpfWidth.Eight, R10, Found + at, R1);
        }

        _code.Jump(done);
        _code.Place(nobody);
        _code.Move(R1, WriteRecord.Nobody);
        _code.Store(BpfWidth.Eight, R7, FoundHow, R1);
        Copy(Who, Found, WriteMaps.WhoBytes);
        _code.Place(done);
    }

    /// <summary>When the writer is another one than the run's, the run goes into the ring and a new one begins.</summary>
    private void ChangeRun()
    {
        BpfLabel begin = new();
        BpfLabel change = new();
        BpfLabel same = new();
        _code.Load(BpfWidth.Eight, R1, R7, RunBytes);
        _code.JumpIf(R1, BpfCondition.Equal, 0, begin);
        _code.Load(BpfWidth.Four, R1, R10, Found);
        _code.Load(BpfWidth.Four, R2, R10, Record + 56);
        _code.JumpIf(R1, BpfCondition.NotEqual, R2, change);
        _code.Load(BpfWidth.Eight, R1, R7, FoundHow);
        _code.Load(BpfWidth.Eight, R2, R7, RunHow);
        _code.JumpIf(R1, BpfCondition.Equal, R2, same);
        _code.Place(change);
        TakeRun();
        Emit();
        _code.Load(BpfWidth.Eight, R1, R7, RunBytes);
        _code.Load(BpfWidth.Eight, R2, R10, Record + 16);
        _code.Compute(BpfArithmetic.Add, R2, R1);
        _code.Store(BpfWidth.Eight, R10, Record + 16, R2);
        _code.Move(R1, 0);
        _code.Store(BpfWidth.Eight, R7, RunBytes, R1);
        _code.Place(begin);
        Copy(Found, Record + 56, WriteMaps.WhoBytes);
        _code.Load(BpfWidth.Eight, R1, R7, FoundHow);
        _code.Store(BpfWidth.Eight, R7, RunHow, R1);
        _code.Place(same);
    }

    /// <summary>Notes where the folio ends whose first page is in r8.</summary>
    private void FindFolioEnd()
    {
        BpfLabel isSmall = new();
        BpfLabel done = new();
        if (_layout.LargeFolio is { } large)
        {
            ReadOrZero(BpfWidth.Eight, R1, R8, large.Flags);
            _code.Compute(BpfArithmetic.ShiftRight, R1, large.IsLarge);
            _code.Compute(BpfArithmetic.And, R1, 1);
            _code.JumpIf(R1, BpfCondition.Equal, 0, isSmall);
            ReadOrZero(BpfWidth.Four, R1, R8, large.Pages);
            _code.Compute(BpfArithmetic.ShiftLeft, R1, int.Log2(_layout.PageBytes));
            _code.Compute(BpfArithmetic.Add, R1, R8);
            _code.Jump(done);
        }

        _code.Place(isSmall);
        _code.Move(R1, R6);
        _code.Compute(BpfArithmetic.Add, R1, _layout.PageBytes);
        _code.Place(done);
        _code.Store(BpfWidth.Eight, R7, FolioEnd, R1);
    }

    /// <summary>Takes what lies in the present folio from the run of pages and from the request, and adds it to the run of the writer.</summary>
    private void CountFolio()
    {
        BpfLabel inVector = new();
        BpfLabel inRequest = new();
        _code.Load(BpfWidth.Eight, R8, R7, FolioEnd);
        _code.Compute(BpfArithmetic.Subtract, R8, R6);
        _code.Compute(BpfArithmetic.ShiftRight, R8, int.Log2(_layout.PageBytes));
        _code.Compute(BpfArithmetic.ShiftLeft, R8, int.Log2(Environment.SystemPageSize));
        _code.Load(BpfWidth.Eight, R1, R7, PageOffset);
        _code.Compute(BpfArithmetic.Subtract, R8, R1);
        _code.Move(R1, 0);
        _code.Store(BpfWidth.Eight, R7, PageOffset, R1);
        _code.Load(BpfWidth.Eight, R1, R7, VectorLeft);
        _code.JumpIf(R1, BpfCondition.NotLess, R8, inVector);
        _code.Move(R8, R1);
        _code.Place(inVector);
        _code.Load(BpfWidth.Eight, R2, R7, Left);
        _code.JumpIf(R2, BpfCondition.NotLess, R8, inRequest);
        _code.Move(R8, R2);
        _code.Place(inRequest);
        _code.Compute(BpfArithmetic.Subtract, R1, R8);
        _code.Store(BpfWidth.Eight, R7, VectorLeft, R1);
        _code.Compute(BpfArithmetic.Subtract, R2, R8);
        _code.Store(BpfWidth.Eight, R7, Left, R2);
        _code.Load(BpfWidth.Eight, R1, R7, RunBytes);
        _code.Compute(BpfArithmetic.Add, R1, R8);
        _code.Store(BpfWidth.Eight, R7, RunBytes, R1);
    }

    /// <summary>Copies the run of pages whose address is noted, and goes to the page in which it begins: an offset of more than a page leads to a later one.</summary>
    private void LoadVector()
    {
        int pageShift = int.Log2(Environment.SystemPageSize);
        _code.Load(BpfWidth.Eight, R6, R10, Vector);
        _code.CopyKernel(VectorPages, VectorBytes, R6, 0, _unread);
        _code.Load(BpfWidth.Eight, R6, R10, VectorPages);
        _code.Load(BpfWidth.Four, R1, R10, VectorPages + 12);
        _code.Load(BpfWidth.Eight, R3, R7, VectorDone);
        _code.Compute(BpfArithmetic.Add, R1, R3);
        _code.Move(R2, R1);
        _code.Compute(BpfArithmetic.ShiftRight, R2, pageShift);
        _code.Compute(BpfArithmetic.ShiftLeft, R2, int.Log2(_layout.PageBytes));
        _code.Compute(BpfArithmetic.Add, R6, R2);
        _code.Compute(BpfArithmetic.And, R1, Environment.SystemPageSize - 1);
        _code.Store(BpfWidth.Eight, R7, PageOffset, R1);
        _code.Load(BpfWidth.Four, R1, R10, VectorPages + 8);
        _code.Compute(BpfArithmetic.Subtract, R1, R3);
        _code.Store(BpfWidth.Eight, R7, VectorLeft, R1);
        _code.Move(R1, 0);
        _code.Store(BpfWidth.Eight, R7, VectorDone, R1);
    }

    /// <summary>The first page of the folio that the page in r6 belongs to.</summary>
    private void ToHead(BpfRegister head)
    {
        BpfLabel isTail = new();
        BpfLabel done = new();
        ReadOrZero(BpfWidth.Eight, head, R6, _layout.PageHead);
        _code.JumpIf(head, BpfCondition.SharesBit, 1, isTail);
        _code.Move(head, R6);
        _code.Jump(done);
        _code.Place(isTail);
        _code.Compute(BpfArithmetic.Subtract, head, 1);
        _code.Place(done);
    }
}
