using System.Diagnostics;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>How the holder's work ended.</summary>
/// <param name="GaveUp">No worker serves and none could be started, although the volume was not detached.</param>
/// <param name="Orderly">The last worker closed its books.</param>
/// <param name="IsOver">No worker is left that may still write to the disks of the books.</param>
internal readonly record struct HolderEnd(bool GaveUp, bool Orderly, bool IsOver);

/// <summary>
/// The holder's one thread: waits for what its workers say and for their ends, asks <see cref="SupervisorCore"/> what to do, and does it. After it has
/// begun it allocates nothing but what a new process's handle takes.
/// </summary>
internal sealed class HolderLoop : IDisposable
{
    private const int TickMilliseconds = 50;
    private const int WakePlace = 2 * SupervisorCore.Places;
    private const int FirstBehind = WakePlace + 1;

    // A longer gap than this is time in which the holder itself did not run: it is no evidence against a worker.
    private static readonly TimeSpan s_longestGap = TimeSpan.FromMilliseconds(4 * TickMilliseconds);

    private readonly SupervisorCore _core;
    private readonly HolderPlace[] _places;
    private readonly HolderPage _page;
    private readonly DeviceThread _device;
    private readonly Action<string> _log;
    private readonly TimeProvider _clock;
    private readonly LeftBehind _behind;
    private readonly PollSet _poll = new(FirstBehind + LeftBehind.Room);
    private long _lastLook = Stopwatch.GetTimestamp();
    private TimeSpan _now;                          // the holder's waking time
    private DateTimeOffset _changed;
    private DateTimeOffset? _passThroughSince;
    private (Change Change, WorkerMode Mode, int Restarts, int Upgrades, int Refused, int Worker, bool HasStandby) _told;
    private HolderEnd? _end;
    private bool _lastWasOrderly;

    internal HolderLoop(SupervisorCore core, HolderPlace[] places, HolderPage page, DeviceThread device, Action<string> log, TimeProvider clock)
    {
        _core = core;
        _places = places;
        _page = page;
        _device = device;
        _log = log;
        _behind = new LeftBehind(log);
        _clock = clock;
        _poll[WakePlace] = (int)device.Words.DangerousGetHandle();
    }

    /// <summary>Runs until the volume is detached or nobody can serve it.</summary>
    internal HolderEnd Run()
    {
        _core.Ticked(_now);
        Act();
        while (_end is null)
        {
            Turn();
        }

        return _end.Value;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _poll.Dispose();
        _behind.Dispose();
    }

    private void Turn()
    {
        for (int place = 0; place < _places.Length; place++)
        {
            bool taken = _places[place].ProcessId != 0;
            _poll[place] = _places[place].ProcessDescriptor;
            _poll[_places.Length + place] = taken ? (int)_places[place].Line.DangerousGetHandle() : -1;
        }

        for (int place = 0; place < LeftBehind.Room; place++)
        {
            _poll[FirstBehind + place] = _behind[place];
        }

        _poll.Wait(TickMilliseconds);
        TellTime();
        for (int place = 0; place < _places.Length; place++)
        {
            bool ended = _poll.IsReady(place);
            if (ended || _poll.IsReady(_places.Length + place))
            {
                Listen(place); // before its end: what it said last still counts
            }

            if (ended)
            {
                Bury(place);
            }
        }

        if (_poll.IsReady(WakePlace))
        {
            HearDevice();
        }

        if (_core.Active >= 0)
        {
            LookAt(_places[_core.Active]);
        }

        LookBehind();
        _core.Ticked(_now);
        Act();
        TellPage();
    }

    private void LookAt(HolderPlace active)
    {
        ChangeReason reason = active.Look(_now);
        if (active.IsEndingUntold(_now))
        {
            active.Kill(_now); // it is dying already: this only makes sure of it, and begins to count the time
        }
        else if (reason != ChangeReason.None)
        {
            _core.Stuck(_core.Active, reason);
        }
    }

    /// <summary>Leaves behind who was killed, can't end, and can do no harm to the origin any more; takes leave of who has ended at last.</summary>
    private void LookBehind()
    {
        for (int place = 0; place < _places.Length && _behind.HasRoom; place++)
        {
            if (_places[place].LookAtRemains(_now) is var left and not Remainder.Doubtful)
            {
                bool isAlone = left == Remainder.InSpillFile || place != _core.Active; // without the word a worker writes nothing
                _behind.Add(_places[place].ProcessId, isAlone, _places[place].LetGo());
                _lastWasOrderly &= place != _core.Active;
                _core.LeftBehind(place, isAlone, _now);
                Act();
            }
        }

        for (int place = 0; place < LeftBehind.Room; place++)
        {
            if (_poll.IsReady(FirstBehind + place) && !_behind.Reap(place))
            {
                _core.EndedBehind();
            }
        }
    }

    private void TellTime()
    {
        long look = Stopwatch.GetTimestamp();
        TimeSpan gap = Stopwatch.GetElapsedTime(_lastLook, look);
        _lastLook = look;
        _now += gap < s_longestGap ? gap : s_longestGap;
    }

    private void Listen(int place)
    {
        while (LineMessage.Receive(_places[place].Line, wait: false) is { Word: not (LineWord.None or LineWord.Gone) } message)
        {
            switch (message.Word)
            {
                case LineWord.Ready when message.Detail == WorkerSetup.ThisProtocol:
                    _core.Readied(place, _now);
                    break;
                case LineWord.Serving:
                    _core.Served(place, _now);
                    _device.TellServing();
                    break;
                case LineWord.Detach when place == _core.Active:
                    _core.DetachAsked();
                    break;
                case LineWord.Upgrade when place == _core.Active:
                    _core.UpgradeAsked(_now);
                    break;
                case LineWord.Closed when place == _core.Active:
                    _lastWasOrderly = true;
                    _core.Exited(place, 0, 0, _now);
                    break;
                default:
                    break; // a word of a later version: it can't matter to this one
            }

            Act();
        }
    }

    private void Bury(int place)
    {
        bool wasActive = place == _core.Active;
        ChildEnd end = _places[place].Reap();
        _lastWasOrderly = wasActive ? end is { Signal: 0, Code: 0 } : _lastWasOrderly;
        _core.Exited(place, end.Signal, end.Code, _now);
        Act();
    }

    private void HearDevice()
    {
        switch (_device.Hear())
        {
            case DeviceWord.Gone:
                _core.DeviceDetached(gone: true);
                break;
            case DeviceWord.Busy:
                _core.DeviceDetached(gone: false);
                break;
            case DeviceWord.NotAttached:
                _core.Abandon();
                break;
            default:
                break;
        }
    }

    private void Act()
    {
        while (_core.TryTake(out SupervisorAction action))
        {
            HolderPlace place = _places[action.Place];
            switch (action.Kind)
            {
                case ActionKind.Spawn:
                    Spawn(place, action.Place);
                    break;
                case ActionKind.Go:
                    TellPage(); // who takes over reads there why
                    place.BeginWatch(_now);
                    LineMessage.Go(action.Mode, action.TakesOver).TrySend(place.Line);
                    break;
                case ActionKind.Drain:
                    new LineMessage(LineWord.Drain).TrySend(place.Line);
                    break;
                case ActionKind.Kill:
                    place.Kill(_now);
                    break;
                case ActionKind.RefuseUpgrade:
                    new LineMessage(LineWord.UpgradeRefused).TrySend(place.Line);
                    break;
                case ActionKind.DetachDevice:
                    _device.Detach();
                    break;
                case ActionKind.TellGone:
                    new LineMessage(LineWord.DeviceGone).TrySend(place.Line);
                    break;
                case ActionKind.TellBusy:
                    new LineMessage(LineWord.DeviceBusy).TrySend(place.Line);
                    break;
                default:
                    _end = new HolderEnd(action.Kind == ActionKind.GiveUp, _lastWasOrderly, !_core.HasLeftBehind);
                    break;
            }
        }
    }

    private void Spawn(HolderPlace place, int number)
    {
        try
        {
            place.Spawn();
        }
        catch (LinuxErrorException failure)
        {
            _log($"no worker could be started: {failure.Message}");
            const int NotStarted = 127;
            _core.Exited(number, 0, NotStarted, _now); // no memory, no process to be had: tried again after a pause
        }
    }

    /// <summary>Says what is new where workers can read it, and in the log.</summary>
    private void TellPage()
    {
        int worker = _core.Active < 0 ? 0 : _places[_core.Active].ProcessId;
        var told = (_core.LastChange, _core.Mode, _core.Restarts, _core.Upgrades, _core.RefusedUpgrades, worker, _core.HasStandby);
        if (told == _told)
        {
            return;
        }

        DateTimeOffset now = _clock.GetUtcNow();
        bool changedHands = (_core.Restarts, _core.Upgrades) != (_told.Restarts, _told.Upgrades);
        _changed = changedHands ? now : _changed;
        _passThroughSince = _core.Mode == WorkerMode.Full ? null : _passThroughSince ?? now;
        _told = told;
        _page.Tell(_core, worker, _changed, _passThroughSince, _core.Mode == WorkerMode.Full ? null : now + (_core.ReturnAt - _now));
        if (changedHands)
        {
            _log(SupervisionText.Of(_core));
        }
    }
}
