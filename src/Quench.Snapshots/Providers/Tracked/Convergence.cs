namespace Quench.Snapshots.Providers.Tracked;

/// <summary>What to do with what is left to copy.</summary>
internal enum ConvergenceStep
{
    /// <summary>Copy it while the writers go on.</summary>
    Copy,

    /// <summary>Hold the writers and copy the rest.</summary>
    Hold,

    /// <summary>Neither would lead to an end.</summary>
    GiveUp,
}

/// <summary>
/// Decides pass by pass how a volume that is being written is copied. What is left shrinks from pass to pass as long as it is read faster than it is written:
///
///     first pass                                          copy all of it
///     little is left                                      hold
///     it shrinks                                          copy
///     it shrinks no more, or limits are reached           hold if what is left fits into memory, else give up
///     an event may have been lost                         copy everything again; too often: give up
///
/// Values in, values out: no clock, no device. Not thread-safe.
/// </summary>
internal sealed class Convergence(ConvergenceLimits limits)
{
    private const int GainDivisor = 4; // what is left must be smaller by a quarter to count as shrinking

    private int _passes;
    private int _withoutGain;
    private int _doubts;
    private int _holds;
    private long _left = long.MaxValue; // after the pass before
    private TimeSpan _firstEnded;

    /// <summary>Passes that were ordered so far.</summary>
    public int Passes => _passes;

    /// <summary>Why there is no end, once <see cref="ConvergenceStep.GiveUp"/> has been answered; the end of a sentence.</summary>
    public string Reason { get; private set; } = "";

    /// <summary>Judges what is left.</summary>
    /// <param name="leftBytes">What must be copied still.</param>
    /// <param name="inDoubt">Whether it is everything because an event may have been lost.</param>
    /// <param name="elapsed">Since the start.</param>
    public ConvergenceStep Judge(long leftBytes, bool inDoubt, TimeSpan elapsed)
    {
        if (_passes == 0)
        {
            return Copy(long.MaxValue);
        }

        if (_passes == 1)
        {
            _firstEnded = elapsed;
        }

        if (inDoubt)
        {
            _withoutGain = 0;
            return ++_doubts <= limits.Doubts ? Copy(long.MaxValue) : GiveUp($"writes may have been missed {_doubts} times");
        }

        if (leftBytes <= limits.LittleBytes)
        {
            return Hold();
        }

        _withoutGain = leftBytes <= _left - (_left / GainDivisor) ? 0 : _withoutGain + 1;
        if (_withoutGain > 0 && leftBytes <= limits.HeldBytes)
        {
            return Hold();
        }

        bool isOver = _passes >= limits.Passes || elapsed - _firstEnded >= limits.Time || _withoutGain >= limits.PassesWithoutGain;
        return !isOver ? Copy(leftBytes)
            : leftBytes <= limits.HeldBytes ? Hold()
            : GiveUp("it is written as fast as it can be read");
    }

    /// <summary>Notes that the writers are held now, which may come to nothing.</summary>
    public void NoteHold() => _holds++;

    private ConvergenceStep Copy(long left)
    {
        _passes++;
        _left = left;
        return ConvergenceStep.Copy;
    }

    private ConvergenceStep Hold() => _holds < limits.Holds ? ConvergenceStep.Hold : GiveUp("each time its writers were held, too much had been written just before");

    private ConvergenceStep GiveUp(string reason)
    {
        Reason = reason;
        return ConvergenceStep.GiveUp;
    }
}
