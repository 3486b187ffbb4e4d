using System.Collections.Frozen;
using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>Whose writing it is, in the large.</summary>
public enum ProcessGroup
{
    /// <summary>The kernel and the services that a machine has with nobody using it.</summary>
    System,

    /// <summary>Everything else that has a name.</summary>
    Application,

    /// <summary>The watch itself.</summary>
    Watch,

    /// <summary>Nobody knows.</summary>
    Unknown,
}

/// <summary>Which process belongs to which group: by its name, because a process is often gone when its data is written. A rule, not a fact: a service that the list does not have counts as an application.</summary>
public static class ProcessGroups
{
    private static readonly FrozenSet<string> s_services = new[]
    {
        "init", "agetty", "login", "sshd", "getty", "cron", "crond", "anacron", "atd", "rsyslogd", "syslogd", "syslog-ng", "klogd", "auditd", "udevd", "dbus-daemon", "dbus-broker",
        "polkitd", "NetworkManager", "wpa_supplicant", "dhclient", "dhcpcd", "chronyd", "ntpd", "irqbalance", "acpid", "smartd", "thermald", "upowerd", "udisksd", "accounts-daemon", "rngd",
        "haveged", "mdadm", "lvmetad", "dmeventd", "multipathd", "iscsid", "snapd", "packagekitd", "unattended-upgr", "apt-daily", "fwupd", "ModemManager", "avahi-daemon", "cupsd",
        "logrotate", "updatedb", "fstrim", "sync", "mount", "umount", "containerd", "dockerd", "acpi_fakekeyd",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The group of a process.</summary>
    /// <param name="process">Who wrote.</param>
    /// <param name="ownProcess">The number of the process that watched.</param>
    public static ProcessGroup Of(WritingProcess process, int ownProcess) =>
        ReferenceEquals(process, WritingProcess.Unknown) || process.Name.Length == 0 ? ProcessGroup.Unknown
        : process.IsKernel || process.Id == 1 ? ProcessGroup.System
        : process.Id == ownProcess ? ProcessGroup.Watch
        : process.Name.StartsWith("systemd", StringComparison.Ordinal) || process.Name.StartsWith("(sd-", StringComparison.Ordinal) || s_services.Contains(process.Name) ? ProcessGroup.System
        : ProcessGroup.Application;
}
