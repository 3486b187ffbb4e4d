using Quench.Snapshots.Coordination;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>A writer as it really is: since when it holds, and whether it held over the instant, whatever anybody believes of it.</summary>
/// <param name="level">When it is frozen.</param>
/// <param name="habit">How it misbehaves; below zero when it does not.</param>
internal sealed class ModelWriter(FreezeLevel level, int habit)
{
    private TimeSpan? _heldSince;
    private TimeSpan? _freezeAnswered; // in time
    private TimeSpan? _thawOrdered;
    private bool _thawAnswered;        // in time, and that it held
    private bool _postSnapshotDone;
    private bool _isDistrusted;

    public FreezeLevel Level => level;

    public int Habit => habit;

    public bool IsLeftOut { get; set; }

    /// <summary>A freeze has been ordered and is not answered yet.</summary>
    public bool IsFreezing => _heldSince is not null && _freezeAnswered is null;

    public bool IsHeld => _heldSince is not null;

    public TimeSpan LongestHold { get; private set; }

    /// <summary>It is told something.</summary>
    public void Hear(CoordinatorOrder order, TimeSpan now)
    {
        switch (order.Event)
        {
            case WriterEvent.Freeze:
                _heldSince = now; // at the earliest
                break;
            case WriterEvent.Thaw:
                _thawOrdered = now;
                LetGo(now);
                break;
            case WriterEvent.Abort:
                LetGo(now);
                break;
        }
    }

    /// <summary>It will answer at a time.</summary>
    public void Answered(CoordinatorOrder order, TimeSpan at, WriterAnswer answer)
    {
        if (at >= order.Deadline)
        {
            return;
        }

        switch (order.Event)
        {
            case WriterEvent.Freeze:
                _freezeAnswered = at;
                break;
            case WriterEvent.Thaw:
                _thawAnswered = answer.IsHeld;
                break;
            case WriterEvent.PostSnapshot:
                _postSnapshotDone = true;
                break;
        }
    }

    /// <summary>It did something after which nothing it says is believed; but what happened before its last step stands.</summary>
    public void Distrusts() => _isDistrusted = !_postSnapshotDone;

    public override string ToString() =>
        $"habit {habit}, freeze answered {_freezeAnswered}, thaw ordered {_thawOrdered}, answered {_thawAnswered}, handed over {_postSnapshotDone}, distrusted {_isDistrusted}";

    public void LetGo(TimeSpan now)
    {
        if (_heldSince is { } since)
        {
            TimeSpan held = now - since;
            LongestHold = held > LongestHold ? held : LongestHold;
            _heldSince = null;
        }
    }

    /// <summary>Whether it was held when the instant was taken, confirmed in time, and had handed over what a restore needs.</summary>
    public bool HeldOver(TimeSpan? instant) =>
        instant is { } at && !_isDistrusted && _freezeAnswered <= at && _thawOrdered >= at && _thawAnswered && _postSnapshotDone;
}
