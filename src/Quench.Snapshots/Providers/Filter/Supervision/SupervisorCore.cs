namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>
/// What the holder decides: events in, actions out, no I/O and no clock of its own. The table is in this room's README. Times are the holder's
/// own waking time, which stands still while the machine or the holder does.
/// </summary>
/// <remarks>
/// For one thread. After it was made it allocates nothing.
/// Invariant: at most one place has had the word and has neither ended nor been left behind (<see cref="Active"/>). The word is given only when there is
/// none, so no write of an earlier worker can land after one of a later worker: what was left behind can't write the origin any more (<see cref="WorkerRemains"/>).
/// As long as it is there it may still write other disks, so the volume stays in pass-through, which believes nothing that is on them.
/// </remarks>
internal sealed class SupervisorCore(SupervisorPace pace, bool isSupervised)
{
    internal const int Places = 2;

    private const int FreeAttempts = 3;                              // deaths at once before the first pause
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(50);

    private readonly Worker[] _workers = [new(), new()];
    private readonly SupervisorAction[] _actions = new SupervisorAction[16]; // a ring: an event causes few
    private int _firstAction;
    private int _actionCount;

    private WorkerMode _mode = WorkerMode.Full;                      // of the worker that serves, or of the next
    private bool _hasServed;                                         // somebody did once
    private int _quickOwn;                                           // in a row, died at once by their own doing
    private int _quickKilled;                                        // in a row, killed at once
    private int _quickSinceMode;                                     // in a row, died at once in the present mode
    private int _failedStarts;                                       // in a row, died before they were ready
    private TimeSpan _noSpawnBefore;
    private TimeSpan _noGoBefore;
    private TimeSpan _calm = pace.Calm;                              // of the next pass-through
    private TimeSpan _modeSince;
    private TimeSpan _returnAt;                                      // to full service
    private Change? _planned;                                        // why the active worker drains
    private int _upgrade = -1;                                       // the place of the worker that shall take over; -1 for none
    private bool _upgradeAsked;
    private bool _deviceIsGone;
    private bool _isEnding;
    private int _leftBehind;                                         // workers that can't end, and may write other disks than the origin

    /// <summary>The place of the worker that has had the word and has not ended; -1 for none.</summary>
    internal int Active { get; private set; } = -1;

    internal WorkerMode Mode => _mode;

    /// <summary>Why the volume changed hands the last time.</summary>
    internal Change LastChange { get; private set; }

    /// <summary>How often a worker died and was replaced.</summary>
    internal int Restarts { get; private set; }

    /// <summary>How many of them were killed because they hung.</summary>
    internal int Hangs { get; private set; }

    /// <summary>How often a worker was replaced in order.</summary>
    internal int Upgrades { get; private set; }

    /// <summary>How many upgrades were refused because the new worker did not start.</summary>
    internal int RefusedUpgrades { get; private set; }

    /// <summary>When full service is tried again; only with pass-through.</summary>
    internal TimeSpan ReturnAt => _returnAt;

    /// <summary>Whether a warm worker waits for the word.</summary>
    internal bool HasStandby => IsStandby(_workers[0]) || IsStandby(_workers[1]);

    internal WorkerPhase PhaseOf(int place) => _workers[place].Phase;

    /// <summary>Whether a worker was left behind that may still write other disks than the origin.</summary>
    internal bool HasLeftBehind => _leftBehind > 0;

    /// <summary>Whether the worker in a place has been sent a kill.</summary>
    internal bool IsDoomed(int place) => _workers[place].IsDoomed;

    /// <summary>The next thing to do.</summary>
    internal bool TryTake(out SupervisorAction action)
    {
        if (_actionCount == 0)
        {
            action = default;
            return false;
        }

        action = _actions[_firstAction];
        _firstAction = (_firstAction + 1) % _actions.Length;
        _actionCount--;
        return true;
    }

    /// <summary>Time goes on.</summary>
    internal void Ticked(TimeSpan now)
    {
        for (int place = 0; place < Places; place++)
        {
            DemandPace(place, now);
        }

        if (_mode == WorkerMode.Full && _calm > pace.Calm && now - _modeSince >= pace.LongestCalm)
        {
            _calm = pace.Calm;
        }

        if (_mode == WorkerMode.PassThrough && now >= _returnAt && _leftBehind == 0 && CanHandOver(out _))
        {
            HandOver(new Change(ChangeReason.Calm, 0), now);
        }

        KeepStandby(now);
        GiveWord(now);
    }

    /// <summary>A worker is warm.</summary>
    internal void Readied(int place, TimeSpan now)
    {
        Worker worker = _workers[place];
        if (worker.Phase != WorkerPhase.Starting || worker.IsDoomed)
        {
            return;
        }

        worker.Enter(WorkerPhase.Ready, now);
        _failedStarts = 0;
        if (_upgrade == place && CanHandOver(out _))
        {
            HandOver(new Change(ChangeReason.Upgrade, 0), now);
        }

        GiveWord(now);
    }

    /// <summary>A worker that had the word has begun to serve.</summary>
    internal void Served(int place, TimeSpan now)
    {
        if (_workers[place].Phase == WorkerPhase.TakingOver)
        {
            _workers[place].Enter(WorkerPhase.Serving, now);
            _hasServed = true;
        }
    }

    /// <summary>A worker has ended, with all of its threads.</summary>
    internal void Exited(int place, int signal, int code, TimeSpan now)
    {
        Worker worker = _workers[place];
        WorkerPhase phase = worker.Phase;
        TimeSpan lived = phase is WorkerPhase.Serving or WorkerPhase.Draining ? now - worker.Since : TimeSpan.Zero;
        worker.Enter(WorkerPhase.None, now);
        if (place != Active)
        {
            StandbyEnded(place, now);
        }
        else
        {
            Active = -1;
            ActiveEnded(worker, phase, signal, code, lived, now);
        }

        KeepStandby(now);
        GiveWord(now);
    }

    /// <summary>A worker was killed and can't end, and nothing of it can write the origin any more: for the volume it is as good as gone.</summary>
    /// <param name="place">Its place, which is free for another one now.</param>
    /// <param name="isAlone">Whether it can't write anything either that another worker uses; so it is with one that never had the word.</param>
    /// <param name="now">The time.</param>
    internal void LeftBehind(int place, bool isAlone, TimeSpan now)
    {
        const int Kill = 9;
        Worker worker = _workers[place];
        _leftBehind += isAlone ? 0 : 1;
        worker.Doomed(isAlone || worker.Doom != ChangeReason.None ? worker.Doom : ChangeReason.CannotEnd);
        Exited(place, Kill, 0, now);
    }

    /// <summary>A worker that was left behind, not alone, has ended at last.</summary>
    internal void EndedBehind() => _leftBehind--;

    /// <summary>The worker that serves does not go on although its origin's disk is not to blame.</summary>
    /// <param name="place">Its place.</param>
    /// <param name="reason">RequestStuck or Silent.</param>
    internal void Stuck(int place, ChangeReason reason)
    {
        if (isSupervised && place == Active && !_workers[place].IsDoomed)
        {
            Doom(place, reason);
        }
    }

    /// <summary>Somebody wants a worker from the program that is on disk now.</summary>
    internal void UpgradeAsked(TimeSpan now)
    {
        if (!isSupervised || _isEnding || _upgradeAsked || Active < 0 || _leftBehind > 0)
        {
            RefuseUpgrade();
            return;
        }

        _upgradeAsked = true;
        int standby = 1 - Active;
        _noSpawnBefore = now;
        if (_workers[standby].Phase != WorkerPhase.None && !_workers[standby].IsDoomed)
        {
            Doom(standby, ChangeReason.None); // it may be from the program of yesterday
        }

        KeepStandby(now);
    }

    /// <summary>The worker that serves has been asked to detach the volume.</summary>
    internal void DetachAsked()
    {
        if (Active >= 0)
        {
            Put(ActionKind.DetachDevice, Active);
        }
    }

    /// <summary>What came of detaching the device.</summary>
    internal void DeviceDetached(bool gone)
    {
        if (gone)
        {
            _deviceIsGone = true;
            Abandon();
        }

        if (Active >= 0)
        {
            Put(gone ? ActionKind.TellGone : ActionKind.TellBusy, Active);
        }
    }

    /// <summary>There is no volume any more, or never was one: nobody is started, and when the last worker has ended it is over.</summary>
    internal void Abandon()
    {
        _isEnding = true;
        for (int place = 0; place < Places; place++)
        {
            if (_workers[place].Phase != WorkerPhase.None && !_workers[place].IsDoomed && (place != Active || !_deviceIsGone))
            {
                Doom(place, ChangeReason.None);
            }
        }

        FinishIfOver();
    }

    private static bool IsStandby(Worker worker) => worker is { Phase: WorkerPhase.Ready, IsDoomed: false };

    private void ActiveEnded(Worker worker, WorkerPhase phase, int signal, int code, TimeSpan lived, TimeSpan now)
    {
        if (_isEnding)
        {
            FinishIfOver();
            return;
        }

        if (!isSupervised || (!_hasServed && ++_failedStarts >= FreeAttempts))
        {
            _isEnding = true;
            Put(ActionKind.GiveUp, 0);
            return;
        }

        bool drained = phase == WorkerPhase.Draining && ((signal == 0 && code == 0) || (worker.IsDoomed && worker.Doom == ChangeReason.None));
        if (_planned is { } change && drained)
        {
            Upgrades++;
            LastChange = change;
            Enter(WorkerMode.Full, now);
        }
        else
        {
            Restarts++;
            Count(signal, lived);
            Change why = worker.Doom != ChangeReason.None ? new Change(worker.Doom, 0)
                : signal != 0 ? new Change(ChangeReason.Signal, signal) : new Change(ChangeReason.Exit, code);
            Decide(worker, why, now);
        }

        _planned = null;
        if (_upgradeAsked)
        {
            _upgradeAsked = false; // whoever takes over now is what was asked for, or the one who asked is gone
            _upgrade = -1;
        }
    }

    /// <summary>After a death: how the next worker serves, and when.</summary>
    private void Decide(Worker worker, Change why, TimeSpan now)
    {
        LastChange = why;
        bool hung = worker.Doom != ChangeReason.None;
        bool loops = _quickOwn >= pace.OwnDeaths || _quickKilled >= pace.Killings;
        Hangs += hung && worker.Doom != ChangeReason.CannotEnd ? 1 : 0;
        if (_mode == WorkerMode.Full && (hung || loops))
        {
            LastChange = hung ? why : new Change(ChangeReason.CrashLoop, Math.Max(_quickOwn, _quickKilled));
            Enter(WorkerMode.PassThrough, now);
            _returnAt = now + _calm;
            _calm = Shorter(_calm * 2, pace.LongestCalm);
        }
        else if (_mode == WorkerMode.PassThrough)
        {
            _returnAt = now >= _returnAt ? now + _calm : _returnAt;
            _noGoBefore = _quickSinceMode > FreeAttempts ? now + Pause(_quickSinceMode - FreeAttempts) : now;
        }
    }

    private void StandbyEnded(int place, TimeSpan now)
    {
        bool wasUpgrade = _upgrade == place;
        if (wasUpgrade)
        {
            _upgrade = -1;
            _upgradeAsked = false;
            RefuseUpgrade();
        }

        if (_isEnding)
        {
            FinishIfOver();
        }
        else if (!_upgradeAsked)
        {
            _failedStarts++;
            _noSpawnBefore = now + Pause(_failedStarts);
            if (!_hasServed && _failedStarts >= FreeAttempts)
            {
                _isEnding = true;
                Put(ActionKind.GiveUp, 0);
            }
        }
    }

    private void DemandPace(int place, TimeSpan now)
    {
        Worker worker = _workers[place];
        TimeSpan spent = now - worker.Since;
        if (worker.IsDoomed || _isEnding)
        {
            return;
        }

        switch (worker.Phase)
        {
            case WorkerPhase.Starting when spent > pace.StartLimit:
                Doom(place, ChangeReason.SlowToTakeOver);
                break;
            case WorkerPhase.TakingOver when spent > pace.TakeOverLimit && isSupervised && _hasServed:
                Doom(place, ChangeReason.SlowToTakeOver);
                break;
            case WorkerPhase.Draining when spent > pace.DrainLimit:
                Doom(place, ChangeReason.None);
                break;
            default:
                break;
        }
    }

    private void KeepStandby(TimeSpan now)
    {
        bool served = Active >= 0 && _workers[Active].Phase == WorkerPhase.Serving;
        bool wanted = !_isEnding && now >= _noSpawnBefore && (Active < 0 || (isSupervised && served)); // while one takes over it needs the processors
        for (int place = 0; place < Places && wanted; place++)
        {
            if (_workers[place].Phase == WorkerPhase.None && _workers[1 - place].Phase is not (WorkerPhase.Starting or WorkerPhase.Ready))
            {
                _workers[place].Enter(WorkerPhase.Starting, now);
                _upgrade = _upgradeAsked && Active >= 0 ? place : -1;
                Put(ActionKind.Spawn, place);
            }
        }
    }

    private void GiveWord(TimeSpan now)
    {
        for (int place = 0; place < Places && Active < 0 && !_isEnding && now >= _noGoBefore; place++)
        {
            if (_workers[place].Phase == WorkerPhase.Ready && !_workers[place].IsDoomed)
            {
                Active = place;
                _workers[place].Enter(WorkerPhase.TakingOver, now);
                Put(new SupervisorAction(ActionKind.Go, place, _mode, _hasServed));
            }
        }
    }

    private bool CanHandOver(out int standby)
    {
        standby = 1 - Active;
        return Active >= 0 && _planned is null && !_isEnding && _workers[Active].Phase == WorkerPhase.Serving && !_workers[Active].IsDoomed
            && _workers[standby].Phase == WorkerPhase.Ready && !_workers[standby].IsDoomed;
    }

    private void HandOver(Change change, TimeSpan now)
    {
        _planned = change;
        _workers[Active].Enter(WorkerPhase.Draining, now);
        Put(ActionKind.Drain, Active);
    }

    private void Doom(int place, ChangeReason reason)
    {
        _workers[place].Doomed(reason);
        Put(ActionKind.Kill, place);
    }

    private void Enter(WorkerMode mode, TimeSpan now)
    {
        _mode = mode;
        _modeSince = now;
        _quickSinceMode = 0;
        _quickOwn = 0;
        _quickKilled = 0;
        _noGoBefore = TimeSpan.Zero;
    }

    private void Count(int signal, TimeSpan lived)
    {
        const int Kill = 9;
        bool quick = lived < pace.AtOnce;
        _quickSinceMode = quick ? _quickSinceMode + 1 : 0;
        _quickOwn = !quick ? 0 : signal == Kill ? _quickOwn : _quickOwn + 1;
        _quickKilled = !quick ? 0 : signal == Kill ? _quickKilled + 1 : _quickKilled;
    }

    private TimeSpan Pause(int attempts) => Shorter(s_firstPause * (1 << Math.Clamp(attempts - 1, 0, 20)), pace.LongestPause);

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private void RefuseUpgrade()
    {
        RefusedUpgrades++;
        if (Active >= 0)
        {
            Put(ActionKind.RefuseUpgrade, Active);
        }
    }

    private void FinishIfOver()
    {
        if (_workers[0].Phase == WorkerPhase.None && _workers[1].Phase == WorkerPhase.None)
        {
            Put(ActionKind.Finish, 0);
        }
    }

    private void Put(ActionKind kind, int place) => Put(new SupervisorAction(kind, place));

    private void Put(SupervisorAction action)
    {
        _actions[(_firstAction + _actionCount) % _actions.Length] = action;
        _actionCount = _actionCount < _actions.Length ? _actionCount + 1 : throw new InvalidOperationException("more to do than one event can cause");
    }

    /// <summary>A place for a worker.</summary>
    private sealed class Worker
    {
        internal WorkerPhase Phase { get; private set; }

        internal TimeSpan Since { get; private set; }

        internal bool IsDoomed { get; private set; }

        /// <summary>Why it was killed by us; None where that says nothing about the volume.</summary>
        internal ChangeReason Doom { get; private set; }

        internal void Enter(WorkerPhase phase, TimeSpan now)
        {
            if (phase is WorkerPhase.Starting)
            {
                IsDoomed = false;
                Doom = ChangeReason.None;
            }

            Phase = phase;
            Since = now;
        }

        internal void Doomed(ChangeReason reason)
        {
            IsDoomed = true;
            Doom = reason;
        }
    }
}
