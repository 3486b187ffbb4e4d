using System.Globalization;

namespace Quench.Snapshots.Providers.Filter.Supervision;

/// <summary>The supervisor's doings in words.</summary>
internal static class SupervisionText
{
    /// <summary>Why the volume changed hands.</summary>
    internal static string Of(Change change) => change.Reason switch
    {
        ChangeReason.None => "never replaced",
        ChangeReason.Signal => string.Create(CultureInfo.InvariantCulture, $"the worker was killed by signal {change.Detail}"),
        ChangeReason.Exit => string.Create(CultureInfo.InvariantCulture, $"the worker ended by itself with exit code {change.Detail}"),
        ChangeReason.RequestStuck => "a request in the worker made no progress",
        ChangeReason.Silent => "the worker gave no sign of life",
        ChangeReason.SlowToTakeOver => "a new worker did not begin to serve in time",
        ChangeReason.Upgrade => "a new worker was asked for",
        ChangeReason.Calm => "full service was tried again",
        ChangeReason.CrashLoop => string.Create(CultureInfo.InvariantCulture, $"{change.Detail} workers in a row died at once"),
        ChangeReason.CannotEnd => "the worker was killed and can't end, because a disk that is not the origin's does not answer it",
        _ => string.Create(CultureInfo.InvariantCulture, $"reason {change.Reason:D}, which this version does not know"),
    };

    /// <summary>A line for the log.</summary>
    internal static string Of(SupervisorCore core) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Of(core.LastChange)}; {core.Restarts} restarts, {core.Hangs} of them after a hang, {core.Upgrades} upgrades; {(core.Mode == WorkerMode.Full ? "full service" : "pass-through")}");
}
