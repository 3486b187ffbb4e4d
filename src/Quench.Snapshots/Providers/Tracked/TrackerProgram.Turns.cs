using Quench.Interop.Bpf;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Snapshots.Providers.Tracked;

/// <content>How two copies of a program see to it that one of them, and as a rule only one, does the work for an event.</content>
internal sealed partial class TrackerProgram
{
    /// <summary>Requests that the first copies may have taken on one processor before the second ones strike them out: as many as interrupts can be nested, and some that are never struck out.</summary>
    internal const int Taken = 8;

    /// <summary>Words of each processor in the map of what was taken.</summary>
    internal const int TakenWordsEach = 2 * Taken;

    private const int ProcessorNumber = 8; // bpf_get_smp_processor_id (linux/bpf.h, enum bpf_func_id)
    private const int TakenLanded = 0;
    private const int TakenQueued = Taken * sizeof(ulong);

    /// <summary>
    /// The first copy notes that it has taken the request r6. The second ends when it finds that note, and strikes it out; otherwise it counts that it stands in, and goes on. Addresses tell requests
    /// apart, for all that are being told of on a processor are alive. A note that no second copy struck out, because it was itself left out, can only make a later rescue fail: that is seen as a miss.
    /// </summary>
    private void TakeTurn(TrackerTurn turn, int place)
    {
        _code.Call(ProcessorNumber);
        _code.JumpIf(R0, BpfCondition.NotLess, _maps.Processors, _lost);
        _code.Compute(BpfArithmetic.ShiftLeft, R0, int.Log2(TakenWordsEach * sizeof(ulong)));
        _code.LoadMapValue(R3, _maps.Taken!, place);
        _code.Compute(BpfArithmetic.Add, R3, R0);
        if (turn == TrackerTurn.First)
        {
            NoteAsTaken();
        }
        else
        {
            StrikeOut();
        }
    }

    /// <summary>Puts r6 into the first free of the words at r3. When none is, all are forgotten: a second copy will stand in for nothing then, so it counts as a loss.</summary>
    private void NoteAsTaken()
    {
        BpfLabel noted = new();
        for (int word = 0; word < Taken; word++)
        {
            BpfLabel next = new();
            _code.Load(BpfWidth.Eight, R2, R3, word * sizeof(ulong));
            _code.JumpIf(R2, BpfCondition.NotEqual, 0, next);
            _code.Store(BpfWidth.Eight, R3, word * sizeof(ulong), R6);
            _code.Jump(noted);
            _code.Place(next);
        }

        _code.Move(R2, 0);
        for (int word = 1; word < Taken; word++)
        {
            _code.Store(BpfWidth.Eight, R3, word * sizeof(ulong), R2);
        }

        _code.Store(BpfWidth.Eight, R3, 0, R6);
        Count(TrackerWord.Lost, 1);
        _code.Place(noted);
    }

    private void StrikeOut()
    {
        for (int word = 0; word < Taken; word++)
        {
            BpfLabel next = new();
            _code.Load(BpfWidth.Eight, R2, R3, word * sizeof(ulong));
            _code.JumpIf(R2, BpfCondition.NotEqual, R6, next);
            _code.Move(R2, 0);
            _code.Store(BpfWidth.Eight, R3, word * sizeof(ulong), R2);
            _code.Jump(_end);
            _code.Place(next);
        }

        Count(TrackerWord.Rescued, 1);
    }
}
