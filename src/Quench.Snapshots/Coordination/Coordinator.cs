using System.Diagnostics;

namespace Quench.Snapshots.Coordination;

/// <summary>
/// The protocol between requestor, writers and provider, as decisions alone: what happened goes in with its time, what to do comes out. It has no clock, no thread and does no I/O, so
/// that every order of events can be tried. README.md has the table of its states.
/// </summary>
/// <remarks>
/// What it keeps, whatever is told to it and in whatever order:
/// <list type="bullet">
/// <item>From the first freeze it orders to the last thaw it orders, no more than <see cref="CoordinationLimits.Writers"/> pass, provided that <see cref="Tick"/> comes at <see cref="NextDeadline"/>.</item>
/// <item>Whoever was or may have been frozen is ordered to thaw or abort on every way out, and before the way out ends.</item>
/// <item>A writer counts as held only if it answered freeze and thaw in time, said that it held, and the instant was taken in time in between.</item>
/// <item>An answer counts only to the question that is open; a late one, a second one, or one to no question changes nothing but the writer's reputation.</item>
/// </list>
/// For one thread.
/// </remarks>
internal sealed class Coordinator
{
    /// <summary>A writer that answers so often without being asked is cut off.</summary>
    internal const int MostStrays = 16;

    private static readonly FreezeLevel[] s_levels = [FreezeLevel.FrontEnd, FreezeLevel.BackEnd, FreezeLevel.System];

    private readonly CoordinationLimits _limits;
    private readonly WriterSeat[] _seats;
    private readonly Queue<CoordinatorOrder> _orders = new();
    private int _lastCall;
    private int _level;                   // while freezing: the place in s_levels
    private TimeSpan _freezeBegan;        // when the first freeze was ordered
    private TimeSpan? _instantDeadline;   // while creating

    /// <summary>Begins with nothing asked.</summary>
    /// <exception cref="ArgumentException">The provider's limit leaves nothing of the writers' limit.</exception>
    public Coordinator(int writers, CoordinationLimits limits)
    {
        if (limits.Freezing <= TimeSpan.Zero)
        {
            throw new ArgumentException("the provider's limit must be shorter than the writers'", nameof(limits));
        }

        _limits = limits;
        _seats = new WriterSeat[writers];
        for (int index = 0; index < writers; index++)
        {
            _seats[index] = new WriterSeat();
        }
    }

    /// <summary>Where it is.</summary>
    public CoordinatorPhase Phase { get; private set; }

    /// <summary>The instant was taken, by its deadline, and the provider says that the file systems were held.</summary>
    public bool IsTaken { get; private set; }

    /// <summary>The provider did not take the instant in time; whatever it takes later is worth nothing.</summary>
    public bool ProviderWasLate { get; private set; }

    /// <summary>The writers, in the order in which they were given.</summary>
    public IReadOnlyList<WriterSeat> Seats => _seats;

    /// <summary>When <see cref="Tick"/> must be called at the latest; null when nothing is awaited.</summary>
    public TimeSpan? NextDeadline
    {
        get
        {
            TimeSpan? next = _instantDeadline;
            foreach (WriterSeat seat in _seats)
            {
                if (seat.Call != WriterSeat.NoCall && !(seat.Deadline >= next))
                {
                    next = seat.Deadline;
                }
            }

            return next;
        }
    }

    /// <summary>Takes the next decision, in order.</summary>
    public bool TryTakeOrder(out CoordinatorOrder order) => _orders.TryDequeue(out order);

    /// <summary>Asks everybody who they are.</summary>
    public void Begin(TimeSpan now)
    {
        Demand(CoordinatorPhase.Idle);
        EnterCalls(CoordinatorPhase.Identifying, WriterEvent.Identify, now, now + _limits.Call);
        Advance(now);
    }

    /// <summary>Says that a writer takes no part: nothing of it is wanted, or it cannot hold.</summary>
    public void LeaveOut(int writer)
    {
        Demand(CoordinatorPhase.Identified);
        _seats[writer].TakesPart = false;
    }

    /// <summary>The requestor has chosen; those who take part are told.</summary>
    public void PrepareBackup(TimeSpan now)
    {
        Demand(CoordinatorPhase.Identified);
        foreach (WriterSeat seat in _seats)
        {
            seat.IsEngaged = seat.TakesPart;
        }

        EnterCalls(CoordinatorPhase.PreparingBackup, WriterEvent.PrepareBackup, now, now + _limits.Call);
        Advance(now);
    }

    /// <summary>The provider is ready for the instant: writers are made quiet, then <see cref="OrderKind.TakeInstant"/> comes out.</summary>
    public void Hold(TimeSpan now)
    {
        Demand(CoordinatorPhase.Prepared);
        EnterCalls(CoordinatorPhase.PreparingSnapshot, WriterEvent.PrepareSnapshot, now, now + _limits.Call);
        Advance(now);
    }

    /// <summary>The provider has thawed the file systems again.</summary>
    /// <param name="now">When.</param>
    /// <param name="taken">It has the instant, and the file systems were held over it.</param>
    public void InstantEnded(TimeSpan now, bool taken)
    {
        Tick(now);
        if (Phase == CoordinatorPhase.Creating)
        {
            IsTaken = taken;
            ThawEverybody(now);
            Advance(now);
        }
    }

    /// <summary>The backup has ended; writers are told how.</summary>
    public void Complete(TimeSpan now)
    {
        Tick(now);
        Demand(CoordinatorPhase.Imaging);
        EnterCalls(CoordinatorPhase.Completing, WriterEvent.BackupComplete, now, now + _limits.Call);
        Advance(now);
    }

    /// <summary>The requestor gives up. From any phase; a second time changes nothing.</summary>
    public void Abort(TimeSpan now)
    {
        if (Phase is CoordinatorPhase.Aborting or CoordinatorPhase.Ended)
        {
            return;
        }

        Phase = CoordinatorPhase.Aborting;
        _instantDeadline = null;
        foreach (WriterSeat seat in _seats)
        {
            seat.TakesPart = false;
            if (seat.IsEngaged || seat.MayBeFrozen)
            {
                OrderAbort(seat, now);
            }
            else if (seat.Call != WriterSeat.NoCall)
            {
                HangUp(seat); // it was only asked who it is
            }
        }

        Advance(now);
    }

    /// <summary>A writer answered.</summary>
    /// <param name="now">When.</param>
    /// <param name="writer">Which.</param>
    /// <param name="call">The number of the call that it answers.</param>
    /// <param name="answer">What.</param>
    public void Answer(TimeSpan now, int writer, int call, in WriterAnswer answer)
    {
        Tick(now); // an answer at the deadline is late
        WriterSeat seat = _seats[writer];
        if (seat.Call == WriterSeat.NoCall || seat.Call != call)
        {
            HearStray(seat, call, now);
        }
        else if (answer.Error != WriterError.None)
        {
            Close(seat, now, answer.Error, answer.Message);
            Fail(seat, seat.Event, answer.Error, answer.Message, now);
        }
        else
        {
            Close(seat, now, WriterError.None, null);
            Accept(seat, answer, now);
        }

        Advance(now);
    }

    /// <summary>A writer died or hung up.</summary>
    public void Gone(TimeSpan now, int writer, string message)
    {
        Tick(now);
        WriterSeat seat = _seats[writer];
        if (seat.IsHungUp)
        {
            return;
        }

        WriterEvent step = seat.Call != WriterSeat.NoCall ? seat.Event : NextEventOf(seat);
        if (seat.Call != WriterSeat.NoCall)
        {
            Close(seat, now, WriterError.NotResponding, message);
        }

        HangUp(seat); // first: there is nobody left who could be told to abort
        Fail(seat, step, WriterError.NotResponding, message, now);
        Advance(now);
    }

    /// <summary>Time has passed: whoever is late is not waited for any longer.</summary>
    public void Tick(TimeSpan now)
    {
        foreach (WriterSeat seat in _seats)
        {
            if (seat.Call != WriterSeat.NoCall && now >= seat.Deadline)
            {
                GiveUp(seat, now);
            }
        }

        if (_instantDeadline is { } deadline && now >= deadline)
        {
            ProviderWasLate = true;
            ThawEverybody(now);
        }

        Advance(now);
    }

    private void GiveUp(WriterSeat seat, TimeSpan now)
    {
        WriterEvent step = seat.Event;
        string message = $"it did not answer within {(seat.Deadline - seat.Began).TotalSeconds:0.###} s";
        Close(seat, now, WriterError.Timeout, message);
        if (step == WriterEvent.Abort)
        {
            HangUp(seat);
        }
        else
        {
            Fail(seat, step, WriterError.Timeout, message, now);
        }
    }

    private void Accept(WriterSeat seat, in WriterAnswer answer, TimeSpan now)
    {
        switch (seat.Event)
        {
            case WriterEvent.Identify:
                (seat.State, seat.Level) = (WriterState.Stable, answer.Level);
                break;
            case WriterEvent.PrepareSnapshot:
                seat.State = WriterState.WaitingForFreeze;
                break;
            case WriterEvent.Freeze:
                seat.State = WriterState.WaitingForThaw;
                break;
            case WriterEvent.Thaw:
                AcceptThaw(seat, answer, now);
                break;
            case WriterEvent.PostSnapshot:
                (seat.State, seat.HandedOver) = (WriterState.WaitingForBackupComplete, true);
                break;
            case WriterEvent.BackupComplete:
                (seat.State, seat.IsEngaged) = (WriterState.Stable, false);
                break;
            case WriterEvent.Abort when seat.Error == WriterError.None:
                seat.State = WriterState.Stable;
                break;
        }
    }

    private void AcceptThaw(WriterSeat seat, in WriterAnswer answer, TimeSpan now)
    {
        seat.HeldFor = now - seat.FreezeOrdered;
        if (answer.IsHeld)
        {
            (seat.State, seat.WasHeld) = (WriterState.WaitingForPostSnapshot, IsTaken);
        }
        else
        {
            Fail(seat, WriterEvent.Thaw, WriterError.InconsistentSnapshot, answer.Message ?? "its writes were not held until the thaw", now);
        }
    }

    /// <summary>An answer to nothing: late ones are common and mean nothing; one to a question not yet asked is a lie.</summary>
    private void HearStray(WriterSeat seat, int call, TimeSpan now)
    {
        seat.Strays++;
        bool lied = call > _lastCall;
        if ((lied || seat.Strays > MostStrays) && !seat.IsHungUp)
        {
            string message = lied ? "it answered what it had not been asked" : $"it sent more than {MostStrays} answers that nobody had asked for";
            if (seat.Call != WriterSeat.NoCall)
            {
                Close(seat, now, WriterError.NonRetryable, message);
            }

            Fail(seat, NextEventOf(seat), WriterError.NonRetryable, message, now);
            seat.WasHeld = false; // whatever it said before, it is not believed
        }
    }

    /// <summary>A writer failed. The first cause is kept; it lets go and takes no further part.</summary>
    private void Fail(WriterSeat seat, WriterEvent step, WriterError error, string? message, TimeSpan now)
    {
        if (seat.Error == WriterError.None)
        {
            (seat.State, seat.Error, seat.Message) = (FailedAt(step), error, message);
        }

        seat.TakesPart = false;
        if (step != WriterEvent.Abort && (seat.IsEngaged || seat.MayBeFrozen))
        {
            OrderAbort(seat, now);
        }
    }

    private void ThawEverybody(TimeSpan now)
    {
        Phase = CoordinatorPhase.Thawing;
        _instantDeadline = null;
        for (int level = s_levels.Length - 1; level >= 0; level--)
        {
            foreach (WriterSeat seat in _seats)
            {
                if (seat.TakesPart && seat.MayBeFrozen && seat.Level == s_levels[level])
                {
                    Order(seat, WriterEvent.Thaw, now, now + _limits.Thaw);
                    seat.MayBeFrozen = false;
                }
            }
        }
    }

    private void OrderAbort(WriterSeat seat, TimeSpan now)
    {
        seat.IsEngaged = false;
        seat.MayBeFrozen = false;
        if (seat.Call != WriterSeat.NoCall)
        {
            Close(seat, now, WriterError.Timeout, "it was called off");
        }

        if (!seat.IsHungUp)
        {
            Order(seat, WriterEvent.Abort, now, now + _limits.Thaw);
        }
    }

    private void HangUp(WriterSeat seat)
    {
        if (!seat.IsHungUp)
        {
            seat.IsHungUp = true;
            seat.Call = WriterSeat.NoCall;
            _orders.Enqueue(new CoordinatorOrder(OrderKind.HangUp, Array.IndexOf(_seats, seat), WriterSeat.NoCall, seat.Event, default));
        }
    }

    /// <summary>Goes on to the next phase when nobody is awaited in this one.</summary>
    private void Advance(TimeSpan now)
    {
        while (!IsAwaiting())
        {
            switch (Phase)
            {
                case CoordinatorPhase.Identifying:
                    Phase = CoordinatorPhase.Identified;
                    return;
                case CoordinatorPhase.PreparingBackup:
                    Phase = CoordinatorPhase.Prepared;
                    return;
                case CoordinatorPhase.PreparingSnapshot:
                    BeginFreezing(now);
                    break;
                case CoordinatorPhase.Freezing when _level + 1 < s_levels.Length:
                    FreezeLevelAt(_level + 1, now);
                    break;
                case CoordinatorPhase.Freezing:
                    OrderInstant(now);
                    return;
                case CoordinatorPhase.Thawing when IsTaken:
                    EnterCalls(CoordinatorPhase.PostSnapshot, WriterEvent.PostSnapshot, now, now + _limits.Call);
                    break;
                case CoordinatorPhase.Thawing:
                    Abort(now); // there is no instant: nothing comes after it
                    return;
                case CoordinatorPhase.PostSnapshot:
                    Phase = CoordinatorPhase.Imaging;
                    return;
                case CoordinatorPhase.Completing or CoordinatorPhase.Aborting when !IsAnybodyCalled():
                    Phase = CoordinatorPhase.Ended;
                    return;
                default:
                    return;
            }
        }
    }

    private void BeginFreezing(TimeSpan now)
    {
        (Phase, _freezeBegan) = (CoordinatorPhase.Freezing, now);
        FreezeLevelAt(0, now);
    }

    private void FreezeLevelAt(int level, TimeSpan now)
    {
        _level = level;
        foreach (WriterSeat seat in _seats)
        {
            if (seat.TakesPart && seat.Level == s_levels[level])
            {
                (seat.MayBeFrozen, seat.FreezeOrdered) = (true, now);
                Order(seat, WriterEvent.Freeze, now, _freezeBegan + _limits.Freezing);
            }
        }
    }

    private void OrderInstant(TimeSpan now)
    {
        Phase = CoordinatorPhase.Creating;
        TimeSpan byProvider = now + _limits.Provider;
        TimeSpan byWriters = _freezeBegan + _limits.Writers;
        _instantDeadline = byProvider < byWriters ? byProvider : byWriters;
        _orders.Enqueue(new CoordinatorOrder(OrderKind.TakeInstant, -1, WriterSeat.NoCall, WriterEvent.Freeze, _instantDeadline.Value));
    }

    private void EnterCalls(CoordinatorPhase phase, WriterEvent step, TimeSpan now, TimeSpan deadline)
    {
        Phase = phase;
        foreach (WriterSeat seat in _seats)
        {
            if (seat.TakesPart)
            {
                Order(seat, step, now, deadline);
            }
        }
    }

    private void Order(WriterSeat seat, WriterEvent step, TimeSpan now, TimeSpan deadline)
    {
        Debug.Assert(seat.Call == WriterSeat.NoCall, "a writer is asked one thing at a time");
        (seat.Call, seat.Event, seat.Began, seat.Deadline) = (++_lastCall, step, now, deadline);
        _orders.Enqueue(new CoordinatorOrder(OrderKind.Call, Array.IndexOf(_seats, seat), seat.Call, step, deadline));
    }

    private static void Close(WriterSeat seat, TimeSpan now, WriterError error, string? message)
    {
        seat.Steps.Add(new WriterStep(seat.Event, seat.Began, now - seat.Began, error, message));
        seat.Call = WriterSeat.NoCall;
    }

    /// <summary>Whether this phase waits for somebody. Whoever is only told to let go is awaited at the very end.</summary>
    private bool IsAwaiting()
    {
        foreach (WriterSeat seat in _seats)
        {
            if (seat.Call != WriterSeat.NoCall && seat.Event != WriterEvent.Abort)
            {
                return true;
            }
        }

        return false;
    }

    private bool IsAnybodyCalled()
    {
        foreach (WriterSeat seat in _seats)
        {
            if (seat.Call != WriterSeat.NoCall)
            {
                return true;
            }
        }

        return false;
    }

    private void Demand(CoordinatorPhase phase)
    {
        if (Phase != phase)
        {
            throw new InvalidOperationException($"this is for the phase {phase}, and it is {Phase}");
        }
    }

    /// <summary>At which step a writer fails that was not busy with any: the next one it would be asked.</summary>
    private WriterEvent NextEventOf(WriterSeat seat) => Phase switch
    {
        CoordinatorPhase.Idle or CoordinatorPhase.Identifying or CoordinatorPhase.Identified => WriterEvent.Identify,
        CoordinatorPhase.PreparingBackup => WriterEvent.PrepareBackup,
        CoordinatorPhase.Prepared or CoordinatorPhase.PreparingSnapshot => WriterEvent.PrepareSnapshot,
        CoordinatorPhase.Freezing => seat.State == WriterState.WaitingForThaw ? WriterEvent.Thaw : WriterEvent.Freeze,
        CoordinatorPhase.Creating or CoordinatorPhase.Thawing => WriterEvent.Thaw,
        CoordinatorPhase.PostSnapshot => WriterEvent.PostSnapshot,
        _ => WriterEvent.BackupComplete,
    };

    private static WriterState FailedAt(WriterEvent step) => step switch
    {
        WriterEvent.Identify => WriterState.FailedAtIdentify,
        WriterEvent.PrepareBackup => WriterState.FailedAtPrepareBackup,
        WriterEvent.PrepareSnapshot => WriterState.FailedAtPrepareSnapshot,
        WriterEvent.Freeze => WriterState.FailedAtFreeze,
        WriterEvent.Thaw => WriterState.FailedAtThaw,
        WriterEvent.PostSnapshot => WriterState.FailedAtPostSnapshot,
        WriterEvent.BackupComplete => WriterState.FailedAtBackupComplete,
        WriterEvent.PreRestore => WriterState.FailedAtPreRestore,
        WriterEvent.PostRestore => WriterState.FailedAtPostRestore,
        _ => WriterState.FailedAtBackupShutdown,
    };
}
