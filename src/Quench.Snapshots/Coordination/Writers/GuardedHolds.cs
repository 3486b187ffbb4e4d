using Quench.Snapshots.Coordination.Holds;
using Quench.Snapshots.Coordination.Writers.GuestAgent;
using Quench.Snapshots.Coordination.Writers.Systemd;

namespace Quench.Snapshots.Coordination.Writers;

/// <summary>The holds that a guard can take, by the words that name them: fixed kinds, and nothing that names a program.</summary>
internal static class GuardedHolds
{
    /// <summary>Makes one; null for words that no writer of ours says.</summary>
    internal static IGuardedHold? TryMake(IReadOnlyList<string> words, TimeProvider clock) => words switch
    {
        [SystemdWriter.SourceName, "freeze", var unit] when UnitName.IsValid(unit) => new SystemdHold(new Systemctl(), unit, UnitManner.Freeze, clock),
        [SystemdWriter.SourceName, "stop", var unit] when UnitName.IsValid(unit) => new SystemdHold(new Systemctl(), unit, UnitManner.Stop, clock),
        [GuestAgentWriter.SourceName, var socket] => new GuestAgentHold(socket, clock),
        _ => null,
    };
}
