using Quench.Snapshots.Coordination;

namespace Quench.Tests.Snapshots.Coordination;

/// <summary>What is changed between the coordinator and its world, so that a check that should fail can be seen to fail.</summary>
internal enum CoordinationMutant
{
    None,

    /// <summary>The first abort is lost on its way.</summary>
    ForgetAnAbort,

    /// <summary>The first thaw is lost on its way.</summary>
    ForgetAThaw,

    /// <summary>Nobody looks at the clock while the provider works.</summary>
    NoClockWhileCreating,

    /// <summary>A thaw that is answered late is given the time at which it was due.</summary>
    LateCountsAsInTime,

    /// <summary>A writer that says it did not hold is heard to say that it did.</summary>
    LostCountsAsHeld,

    /// <summary>A provider that failed is heard to have the instant.</summary>
    FailedProviderCounts,

    /// <summary>Every writer is taken for one of the system's level.</summary>
    LevelsAreIgnored,
}

/// <summary>
/// Writers, a provider and a requestor with habits drawn from a seed, on a clock of numbers. The coordinator is told what they do; what it decides is carried out in the world;
/// and the world itself knows who was held when.
/// </summary>
internal sealed class CoordinationWorld
{
    internal static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(250);

    private static readonly CoordinationLimits s_limits = new() { Call = TimeSpan.FromSeconds(60), Writers = TimeSpan.FromSeconds(20), Provider = TimeSpan.FromSeconds(5), Thaw = TimeSpan.FromSeconds(5) };

    private readonly Random _chance;
    private readonly CoordinationMutant _mutant;
    private readonly Coordinator _coordinator;
    private readonly ModelWriter[] _writers;
    private readonly PriorityQueue<Happening, (TimeSpan At, int Order)> _future = new();
    private readonly bool _isKind;
    private TimeSpan _now;
    private int _order;
    private int _steps;
    private int _crashAtStep = int.MaxValue;
    private int _abortAtStep = int.MaxValue;
    private bool _hasCrashed;
    private bool _instantOrdered;
    private TimeSpan? _instantAt; // when the provider really had it, in time
    private bool _lostOne;

    private CoordinationWorld(int seed, CoordinationMutant mutant)
    {
        _chance = new Random(seed);
        _mutant = mutant;
        _isKind = _chance.Next(10) == 0;
        _writers = new ModelWriter[_chance.Next(0, 6)];
        for (int index = 0; index < _writers.Length; index++)
        {
            _writers[index] = new ModelWriter((FreezeLevel)_chance.Next(3), _isKind ? -1 : _chance.Next(10));
        }

        _coordinator = new Coordinator(_writers.Length, s_limits);
        if (!_isKind)
        {
            _crashAtStep = _chance.Next(4) == 0 ? _chance.Next(1, 80) : int.MaxValue;
            _abortAtStep = _chance.Next(4) == 0 ? _chance.Next(1, 80) : int.MaxValue;
        }
    }

    private enum What
    {
        Answer,
        Gone,
        InstantEnded,
        Look, // the runner's timer
    }

    /// <summary>How many that were consistent, so that a test can see that some are.</summary>
    internal int Consistent { get; private set; }

    /// <summary>Lives through one schedule.</summary>
    /// <exception cref="CoordinationFault">A promise was broken.</exception>
    internal static CoordinationWorld Live(int seed, CoordinationMutant mutant = CoordinationMutant.None)
    {
        CoordinationWorld world = new(seed, mutant);
        world.Live();
        return world;
    }

    private void Live()
    {
        _coordinator.Begin(_now);
        CarryOut();
        while (!_hasCrashed && _coordinator.Phase != CoordinatorPhase.Ended)
        {
            Demand(++_steps < 5_000, "it does not come to an end");
            if (_steps >= _crashAtStep)
            {
                Crash();
                break;
            }

            if (_steps >= _abortAtStep)
            {
                _abortAtStep = int.MaxValue;
                _coordinator.Abort(_now);
            }
            else if (!MoveOn())
            {
                Demand(_future.TryDequeue(out Happening? next, out (TimeSpan At, int) when), $"nothing happens any more in {_coordinator.Phase}");
                _now = when.At > _now ? when.At : _now;
                Tell(next!);
            }

            CarryOut();
        }

        Judge();
    }

    /// <summary>What the requestor does when it is its turn.</summary>
    private bool MoveOn()
    {
        switch (_coordinator.Phase)
        {
            case CoordinatorPhase.Identified:
                for (int index = 0; index < _writers.Length; index++)
                {
                    if (!_isKind && _chance.Next(8) == 0)
                    {
                        _coordinator.LeaveOut(index);
                        _writers[index].IsLeftOut = true;
                    }
                }

                _coordinator.PrepareBackup(_now);
                return true;
            case CoordinatorPhase.Prepared:
                _coordinator.Hold(_now);
                return true;
            case CoordinatorPhase.Imaging:
                _coordinator.Complete(_now);
                return true;
            default:
                return false;
        }
    }

    private void Tell(Happening happening)
    {
        switch (happening.What)
        {
            case What.Answer:
                WriterAnswer answer = happening.Answer;
                if (_mutant == CoordinationMutant.LostCountsAsHeld)
                {
                    answer = answer with { IsHeld = true };
                }

                _coordinator.Answer(Heard(happening), happening.Writer, happening.Call, answer);
                break;
            case What.Gone:
                _writers[happening.Writer].LetGo(_now);
                _coordinator.Gone(_now, happening.Writer, "it died");
                break;
            case What.InstantEnded:
                bool taken = happening.Taken || _mutant == CoordinationMutant.FailedProviderCounts;
                _instantAt = happening.Taken && _coordinator.Phase == CoordinatorPhase.Creating && _now < happening.Deadline ? _now : _instantAt;
                _coordinator.InstantEnded(_now, taken);
                break;
            default:
                if (_mutant != CoordinationMutant.NoClockWhileCreating || _coordinator.Phase != CoordinatorPhase.Creating)
                {
                    _coordinator.Tick(_now);
                }

                break;
        }
    }

    private TimeSpan Heard(Happening happening) =>
        IsDeafToTime && _now >= happening.Deadline ? happening.Deadline - TimeSpan.FromTicks(1) : _now;

    private bool IsDeafToTime => _mutant == CoordinationMutant.LateCountsAsInTime && _coordinator.Phase == CoordinatorPhase.Thawing;

    /// <summary>Does what the coordinator decided, and sets the runner's timer.</summary>
    private void CarryOut()
    {
        while (_coordinator.TryTakeOrder(out CoordinatorOrder order))
        {
            switch (order.Kind)
            {
                case OrderKind.TakeInstant:
                    Demand(!_instantOrdered, "the instant was ordered twice");
                    Demand(_writers.All(writer => !writer.IsFreezing), "the instant was ordered while a freeze was still open");
                    _instantOrdered = true;
                    TakeInstant(order);
                    break;
                case OrderKind.HangUp:
                    _writers[order.Writer].LetGo(_now);
                    break;
                default:
                    Call(order);
                    break;
            }
        }

        if (_coordinator.NextDeadline is { } deadline)
        {
            int slowness = IsDeafToTime ? 100_000 : _chance.Next(0, 200);
            Schedule(new Happening(What.Look), deadline + TimeSpan.FromMilliseconds(slowness));
        }
    }

    private void Call(CoordinatorOrder order)
    {
        ModelWriter writer = _writers[order.Writer];
        if (IsLost(order))
        {
            return;
        }

        if (order.Event == WriterEvent.Freeze)
        {
            Demand(!writer.IsLeftOut, "a writer was frozen that takes no part");
            Demand(_writers.All(other => !(other.IsFreezing || other.IsHeld) || other.Level <= writer.Level), "a level was frozen after one that lies behind it");
            Demand(_writers.All(other => !other.IsFreezing || other.Level == writer.Level), "a level was frozen before the one in front of it had answered");
        }

        writer.Hear(order, _now);
        Answer(writer, order);
    }

    private bool IsLost(CoordinatorOrder order)
    {
        bool loses = !_lostOne && _writers[order.Writer].IsHeld
            && ((_mutant == CoordinationMutant.ForgetAnAbort && order.Event == WriterEvent.Abort) || (_mutant == CoordinationMutant.ForgetAThaw && order.Event == WriterEvent.Thaw));
        _lostOne |= loses;
        return loses;
    }

    /// <summary>How a writer answers, by its habit and by chance.</summary>
    private void Answer(ModelWriter writer, CoordinatorOrder order)
    {
        TimeSpan soon = TimeSpan.FromMilliseconds(_chance.Next(0, 900));
        bool misbehaves = writer.Habit >= 0 && _chance.Next(3) == 0;
        WriterAnswer answer = new() { Level = _mutant == CoordinationMutant.LevelsAreIgnored ? FreezeLevel.System : writer.Level, IsHeld = true };
        Happening normal = new(What.Answer) { Writer = order.Writer, Call = order.Call, Deadline = order.Deadline, Answer = answer };
        switch (misbehaves ? writer.Habit : -1)
        {
            case 0: // never
                break;
            case 1: // late, or just in time
                TimeSpan at = order.Deadline + TimeSpan.FromMilliseconds(_chance.Next(-2, 3000));
                Schedule(normal, at);
                writer.Answered(order, at, answer);
                break;
            case 2: // twice
                Schedule(normal, _now + soon);
                Schedule(normal, _now + soon + soon);
                writer.Answered(order, _now + soon, answer);
                break;
            case 3: // crashes
                Schedule(new Happening(What.Gone) { Writer = order.Writer }, _now + soon);
                writer.Distrusts();
                break;
            case 4: // floods
                for (int count = 0; count < 40; count++)
                {
                    Schedule(normal with { Call = _chance.Next(0, order.Call) }, _now + soon);
                }

                Schedule(normal, _now + soon);
                writer.Distrusts();
                break;
            case 5: // answers the next question before it is asked: thaw before freeze
                Schedule(normal with { Call = order.Call + 100 }, _now + soon);
                writer.Distrusts();
                break;
            case 6: // says that it failed
                WriterError error = _chance.Next(2) == 0 ? WriterError.Retryable : WriterError.NonRetryable;
                Schedule(normal with { Answer = WriterAnswer.Failed(error, "no") }, _now + soon);
                writer.Distrusts();
                break;
            case 7 when order.Event == WriterEvent.Thaw: // says that it did not hold
                Schedule(normal with { Answer = answer with { IsHeld = false } }, _now + soon);
                break;
            default:
                Schedule(normal, _now + soon);
                writer.Answered(order, _now + soon, answer);
                break;
        }
    }

    private void TakeInstant(CoordinatorOrder order)
    {
        Happening ended = new(What.InstantEnded) { Taken = true, Deadline = order.Deadline };
        TimeSpan soon = _now + TimeSpan.FromMilliseconds(_chance.Next(0, 900));
        switch (_isKind ? -1 : _chance.Next(8))
        {
            case 0: // never
                break;
            case 1: // late
                Schedule(ended, order.Deadline + TimeSpan.FromMilliseconds(_chance.Next(0, 20_000)));
                break;
            case 2: // fails
                Schedule(ended with { Taken = false }, soon);
                break;
            default:
                Schedule(ended, soon);
                break;
        }
    }

    /// <summary>The coordinator's process is gone: sessions end, pipes close, guards see it. Nothing more is decided.</summary>
    private void Crash()
    {
        _hasCrashed = true;
        foreach (ModelWriter writer in _writers)
        {
            writer.LetGo(_now);
        }
    }

    private void Judge()
    {
        for (int index = 0; index < _writers.Length; index++)
        {
            ModelWriter writer = _writers[index];
            WriterSeat seat = _coordinator.Seats[index];
            Demand(!writer.IsHeld, "a writer is held, and it is over");
            Demand(writer.LongestHold <= s_limits.Writers + Grace, $"a writer was held for {writer.LongestHold}");
            if (_hasCrashed)
            {
                continue;
            }

            bool truth = writer.HeldOver(_instantAt);
            Demand(!seat.IsConsistent || truth, $"a writer is graded consistent, and it was not held over the instant at {_instantAt}: {writer}; {string.Join(", ", seat.Steps)}");
            Demand(!_isKind || seat.IsConsistent, $"a writer that did all right is not graded consistent: {seat.State} {seat.Message}");
            Consistent += seat.IsConsistent ? 1 : 0;
        }

        Demand(!_isKind || _hasCrashed || _coordinator.IsTaken, "all went well, and there is no instant");
    }

    private void Schedule(Happening happening, TimeSpan at) => _future.Enqueue(happening, (at, _order++));

    private static void Demand(bool holds, string promise)
    {
        if (!holds)
        {
            throw new CoordinationFault(promise);
        }
    }

    private sealed record Happening(What What)
    {
        public int Writer { get; init; }

        public int Call { get; init; }

        public TimeSpan Deadline { get; init; }

        public WriterAnswer Answer { get; init; }

        public bool Taken { get; init; }
    }
}

/// <summary>A promise of the coordinator was broken.</summary>
internal sealed class CoordinationFault(string promise) : Exception(promise);
