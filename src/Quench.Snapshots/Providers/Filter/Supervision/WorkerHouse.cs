using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Loop;
using Quench.Snapshots.Store;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>A worker's side of its holder: what it asks of it and what it knows through it. When the holder is gone the worker does by itself what it can.</summary>
/// <remarks>Thread-safe.</remarks>
internal sealed class WorkerHouse(FilterDirectory directory, SafeFileHandle line, HolderPage page)
{
    private readonly object _gate = new();     // a monitor, because clients wait on it; guards all below
    private LineWord _deviceAnswer;
    private int _refusals;
    private bool _isAlone;

    internal string Name => directory.Name;

    /// <summary>Why this worker does not give full service; null when it does.</summary>
    internal string? PassThroughReason { get; set; }

    /// <summary>Whether the holder is gone.</summary>
    internal bool IsAlone
    {
        get
        {
            lock (_gate)
            {
                return _isAlone;
            }
        }
    }

    /// <summary>A node for a file, never used before on this connection.</summary>
    internal ulong NewNode() => page.NewNode();

    /// <summary>What the holder said to a client's question, or that it is gone.</summary>
    internal void Heard(LineWord word)
    {
        lock (_gate)
        {
            _deviceAnswer = word is LineWord.DeviceGone or LineWord.DeviceBusy ? word : _deviceAnswer;
            _refusals += word == LineWord.UpgradeRefused ? 1 : 0;
            _isAlone |= word == LineWord.Gone;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Has the device detached, after those of snapshots that an earlier worker had exposed and that nobody can read any more.</summary>
    /// <returns>False when it is mounted or open: nothing has changed then.</returns>
    /// <exception cref="QuenchException">SNAP-168: the device of such a snapshot is in use.</exception>
    internal bool TryDetach()
    {
        KeptSnapshots.DetachExposed(directory);
        lock (_gate)
        {
            _deviceAnswer = LineWord.None;
            if (!_isAlone && new LineMessage(LineWord.Detach).TrySend(line))
            {
                while (_deviceAnswer == LineWord.None && !_isAlone)
                {
                    Monitor.Wait(_gate);
                }
            }

            if (_deviceAnswer != LineWord.None)
            {
                return _deviceAnswer == LineWord.DeviceGone;
            }
        }

        return FilterVolumes.TryRead(directory) is { } volume && LoopDevice.TryDetach(volume.Device);
    }

    /// <summary>Asks for a worker from the program that is on disk now. When it comes, this process ends and the client's connection with it.</summary>
    /// <exception cref="QuenchException">SNAP-146: none came.</exception>
    internal ControlReply Upgrade()
    {
        lock (_gate)
        {
            int before = _refusals;
            if (!_isAlone && page.IsSupervised && new LineMessage(LineWord.Upgrade).TrySend(line))
            {
                while (_refusals == before && !_isAlone)
                {
                    Monitor.Wait(_gate);
                }
            }
        }

        throw new QuenchException(
            "SNAP-146",
            page.IsSupervised && !IsAlone ? $"the new worker of volume {Name} did not start" : $"volume {Name} has no supervisor that could start a new worker",
            page.IsSupervised && !IsAlone ? $"see {directory.Log}" : "unmount it, detach it and attach it again")
        {
            Effect = "the worker that there was goes on: nothing has changed",
        };
    }

    /// <summary>How the supervisor is doing.</summary>
    internal ControlReply Supervision() => new()
    {
        Supervision = new SupervisionReply
        {
            IsSupervised = page.IsSupervised && !IsAlone,
            Worker = Environment.ProcessId,
            HasStandby = page.HasStandby,
            Restarts = page.Restarts,
            Hangs = page.Hangs,
            Upgrades = page.Upgrades,
            LastChange = page.LastChange.Reason == ChangeReason.None ? null : SupervisionText.Of(page.LastChange),
            LastChangeTime = page.LastChangeTime,
            PassThrough = PassThroughReason,
            PassThroughSince = page.PassThroughSince,
            NextTry = page.NextTry,
        },
    };

    /// <summary>SNAP-133.</summary>
    internal static QuenchException InUse(string name) => new(
        "SNAP-133", $"volume {name} is mounted or open", "unmount it first; `fuser -vm` shows who uses it")
    {
        ExitCode = 11,
        CanRetry = true,
        Effect = "nothing was changed: the volume goes on working",
    };
}
