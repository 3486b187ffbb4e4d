using Quench.Snapshots.Providers.Filter.Supervision;
using Xunit;

namespace Quench.Tests.Snapshots.Filter.Supervision;

/// <summary>How the shell around the core may lie, to show that the world notices.</summary>
internal enum ShellLie
{
    None,

    /// <summary>A kill is reported as an end at once, while the process still has a write under way.</summary>
    KillIsAnEnd,
}

/// <summary>
/// Processes as the core's actions make them: each warms up, serves, hangs, dies, takes its time to die. It checks each action against what it knows,
/// and the core knows nothing of it but what a holder could tell.
/// </summary>
internal sealed class SupervisorWorld(Random random, SupervisorPace pace, ShellLie lie = ShellLie.None)
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);

    private readonly Process?[] _processes = new Process?[SupervisorCore.Places];
    private readonly List<Process> _dying = []; // with a lying shell: their ends were reported, they are still there
    private readonly List<Process> _behind = []; // they can't end, and were left behind
    private readonly List<string> _story = [];
    private bool _upgradeWanted;

    internal SupervisorCore Core { get; } = new(pace, isSupervised: true);

    internal TimeSpan Now { get; private set; }

    internal IReadOnlyList<string> Story => _story;

    /// <summary>Whether something goes wrong with processes now and then.</summary>
    internal bool IsRough { get; set; } = true;

    /// <summary>Whether workers end at once when they have the word.</summary>
    internal bool WorkersCrash { get; set; }

    internal bool SomebodyServes => Serving() is not null;

    internal WorkerMode? ServedMode => Serving()?.Mode;

    internal bool Finished { get; private set; }

    internal bool GaveUp { get; private set; }

    private bool _everServed; // from then on nothing may make it give up

    /// <summary>Lets one step of time go by, with what may happen in it.</summary>
    internal void Step()
    {
        Now += s_step;
        for (int place = 0; place < _processes.Length; place++)
        {
            if (_processes[place] is { } process)
            {
                Live(place, process);
            }
        }

        _dying.RemoveAll(process => process.EndsAt <= Now);
        foreach (Process process in _behind.FindAll(process => process.EndsAt <= Now))
        {
            _behind.Remove(process);
            if (!process.IsAlone)
            {
                Core.EndedBehind();
            }
        }

        if (IsRough && random.Next(200) == 0)
        {
            Tell("upgrade asked");
            _upgradeWanted = true;
            Core.UpgradeAsked(Now);
            Act();
        }

        Core.Ticked(Now);
        Act();
    }

    /// <summary>The worker that serves ends.</summary>
    internal void EndServing(int signal, int code) => Serving()!.End(Now, signal, code);

    /// <summary>The worker that serves hangs.</summary>
    internal void HangServing() => Hang(Serving()!);

    internal void Detach(bool isInUse)
    {
        Core.DetachAsked();
        Act();
        Core.DeviceDetached(!isInUse);
        Act();
    }

    private Process? Serving() => Array.Find(_processes, process => process is { State: State.Serving or State.Draining, IsHung: false, EndsAt: null });

    private void Live(int place, Process process)
    {
        if (process.EndsAt is { } end)
        {
            if (end <= Now)
            {
                Bury(place, process.Signal, process.Code);
            }
            else if (process.LeftAt <= Now)
            {
                Tell($"worker {place} is left behind{(process.IsAlone ? " alone" : "")}");
                _processes[place] = null;
                _behind.Add(process);
                Core.LeftBehind(place, process.IsAlone, Now);
                Act();
            }

            return;
        }

        if (process.NextAt <= Now && !process.IsHung)
        {
            Proceed(place, process);
        }
        else if (process.IsHung && process.HasWord && Now - process.HungSince > TimeSpan.FromSeconds(3))
        {
            Core.Stuck(place, ChangeReason.Silent);
            Act();
        }

        if (IsRough && process.EndsAt is null && random.Next(60) == 0)
        {
            Harm(place, process);
        }
    }

    private void Proceed(int place, Process process)
    {
        switch (process.State)
        {
            case State.Starting:
                process.State = State.Ready;
                process.NextAt = TimeSpan.MaxValue;
                Core.Readied(place, Now);
                break;
            case State.TakingOver when WorkersCrash:
                process.End(Now, 0, 134);
                break;
            case State.TakingOver:
                process.State = State.Serving;
                _everServed = true;
                process.NextAt = TimeSpan.MaxValue;
                Core.Served(place, Now);
                break;
            case State.Draining:
                process.End(Now, 0, 0);
                break;
            default:
                break;
        }

        Act();
    }

    private void Harm(int place, Process process)
    {
        if (random.Next(3) == 0)
        {
            Tell($"worker {place} hangs");
            Hang(process);
        }
        else
        {
            Tell($"worker {place} is killed");
            process.End(Now + random.Next(4) * s_step, 9, 0);
            MaybeStick(process);
        }
    }

    /// <summary>Now and then a disk that is not the origin's keeps who was killed from ending.</summary>
    private void MaybeStick(Process process)
    {
        if (IsRough && random.Next(6) == 0)
        {
            process.IsAlone = !process.HasWord || random.Next(3) == 0;
            process.LeftAt = Now + TimeSpan.FromSeconds(1);
            process.End(Now + (random.Next(10, 600) * s_step), 9, 0);
        }
    }

    private void Hang(Process process)
    {
        process.IsHung = true;
        process.HungSince = Now;
    }

    private void Bury(int place, int signal, int code)
    {
        Tell($"worker {place} has ended");
        _processes[place] = null;
        Core.Exited(place, signal, code, Now);
        Act();
    }

    private void Act()
    {
        while (Core.TryTake(out SupervisorAction action))
        {
            Tell($"{action.Kind} {action.Place} {action.Mode}");
            Process? process = _processes[action.Place];
            switch (action.Kind)
            {
                case ActionKind.Spawn:
                    Check(process is null, "a place was used twice");
                    _processes[action.Place] = new Process { NextAt = Now + random.Next(1, 8) * s_step };
                    break;
                case ActionKind.Go:
                    Go(action, process);
                    break;
                case ActionKind.Drain:
                    Check(process is { State: State.Serving }, "somebody was to drain who does not serve");
                    process!.State = State.Draining;
                    process.NextAt = Now + random.Next(1, 4) * s_step;
                    break;
                case ActionKind.Kill:
                    Kill(action.Place, process!);
                    break;
                case ActionKind.TellGone:
                    process?.End(Now + s_step, 0, 0);
                    break;
                case ActionKind.RefuseUpgrade:
                    _upgradeWanted = false;
                    break;
                case ActionKind.Finish:
                    Check(Array.TrueForAll(_processes, each => each is null), "it ended with workers alive");
                    Finished = true;
                    break;
                case ActionKind.GiveUp:
                    Check(!_everServed, "it gave up a volume that was served");
                    GaveUp = true;
                    break;
                default:
                    break;
            }
        }
    }

    private void Go(SupervisorAction action, Process? process)
    {
        Check(process is { State: State.Ready }, "the word went to somebody who is not ready");
        Check(_processes.Concat(_dying).All(other => other is null || other == process || !other.HasWord), "the word was given while another one had it");
        Check(action.Mode == WorkerMode.PassThrough || _behind.TrueForAll(other => other.IsAlone), "full service began beside a worker that may still write to its disks");
        process!.State = State.TakingOver;
        process.HasWord = true;
        process.Mode = action.Mode;
        process.NextAt = Now + s_step;
        _upgradeWanted = false;
    }

    private void Kill(int place, Process process)
    {
        bool mayBe = process.IsHung || !process.HasWord || process.EndsAt is not null || process.State is State.TakingOver or State.Draining;
        Check(mayBe, "a healthy worker was killed");
        if (process.EndsAt is not null)
        {
            return;
        }

        process.End(Now + random.Next(6) * s_step, 9, 0);
        MaybeStick(process);
        if (lie == ShellLie.KillIsAnEnd)
        {
            _dying.Add(process);
            _processes[place] = null;
            Core.Exited(place, 9, 0, Now);
        }
    }

    private void Check(bool holds, string broken) =>
        Assert.True(holds, $"{broken} (QUENCH_SEED={TestSeed.Value}, upgrade wanted: {_upgradeWanted})\n{string.Join('\n', _story.TakeLast(40))}");

    private void Tell(string what) => _story.Add($"{Now.TotalMilliseconds,8:0} {what}");

    private enum State
    {
        Starting,
        Ready,
        TakingOver,
        Serving,
        Draining,
    }

    private sealed class Process
    {
        internal State State { get; set; }

        internal WorkerMode Mode { get; set; }

        internal TimeSpan NextAt { get; set; }

        internal bool HasWord { get; set; }

        internal bool IsHung { get; set; }

        internal TimeSpan HungSince { get; set; }

        internal TimeSpan? EndsAt { get; private set; }

        internal TimeSpan LeftAt { get; set; } = TimeSpan.MaxValue;

        internal bool IsAlone { get; set; }

        internal int Signal { get; private set; }

        internal int Code { get; private set; }

        internal void End(TimeSpan at, int signal, int code)
        {
            EndsAt = at;
            Signal = signal;
            Code = code;
        }
    }
}
