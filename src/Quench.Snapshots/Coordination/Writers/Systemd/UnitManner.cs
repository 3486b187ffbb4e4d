namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>How a unit is kept from writing.</summary>
internal enum UnitManner
{
    /// <summary>Its processes are frozen where they are (the kernel's cgroup freezer).</summary>
    Freeze,

    /// <summary>It is stopped before the instant and started after it.</summary>
    Stop,
}
