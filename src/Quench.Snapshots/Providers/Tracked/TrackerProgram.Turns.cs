using Quench.Interop.Bpf;
using static Quench.Interop.Bpf.BpfRegister;

namespace Quench.Snapshots.Providers.Tracked;

/// <content>How two copies of a program see to it that one of them, and as a rule only one, does the work for an event.</content>
internal sealed partial class TrackerProgram
{
    private const int ProcessorNumber = 8; // bpf_get_smp_processor_id (linux/bpf.h, enum bpf_func_id)

    /// <summary>
    /// The first copy notes that it has taken the request r6. The second ends when it finds that note, and strikes it out; otherwise it counts that it stands in, and goes on. Addresses tell requests
    /// apart, for all that are being told of on a processor are alive. A note that no second copy struck out, because it was itself left out, can only make a later rescue fail: that is seen as a miss.
    /// </summary>
    private void TakeTurn(TrackerTurn turn, int place)
    {
        _code.Call(ProcessorNumber);
        _code.JumpIf(R0, BpfCondition.NotLess, _maps.Processors, _lost);
        _code.Compute(BpfArithmetic.ShiftLeft, R0, int.Log2(TrackerLocal.Words * sizeof(ulong)));
        _code.LoadMapValue(R3, _maps.Local, 0);
        _code.Compute(BpfArithmetic.Add, R3, R0);
        _code.Store(BpfWidth.Eight, R10, Local, R3);
        if (turn == TrackerTurn.First)
        {
            NoteAsTaken(place);
        }
        else
        {
            StrikeOut(place);
        }
    }

    /// <summary>Puts r6 into the first free one of the words for it, at r3. When none is, all are forgotten: a second copy will stand in for nothing then, so it counts as a loss.</summary>
    private void NoteAsTaken(int place)
    {
        BpfLabel noted = new();
        for (int word = place; word < place + TrackerLocal.Taken; word++)
        {
            BpfLabel next = new();
            _code.Load(BpfWidth.Eight, R2, R3, word * sizeof(ulong));
            _code.JumpIf(R2, BpfCondition.NotEqual, 0, next);
            _code.Store(BpfWidth.Eight, R3, word * sizeof(ulong), R6);
            _code.Jump(noted);
            _code.Place(next);
        }

        _code.Move(R2, 0);
        for (int word = place + 1; word < place + TrackerLocal.Taken; word++)
        {
            _code.Store(BpfWidth.Eight, R3, word * sizeof(ulong), R2);
        }

        _code.Store(BpfWidth.Eight, R3, place * sizeof(ulong), R6);
        Count(TrackerWord.Lost, 1);
        _code.Place(noted);
    }

    private void StrikeOut(int place)
    {
        for (int word = place; word < place + TrackerLocal.Taken; word++)
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
