namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>What may be the name of a unit that is held. (systemd.unit(5))</summary>
internal static class UnitName
{
    private const int Longest = 255;
    private const string Marks = ":-_.\\@";

    /// <summary>Services, and scopes: processes that another program started and systemd keeps together.</summary>
    private static readonly string[] s_kinds = [".service", ".scope"];

    /// <summary>Those that the machine, or whoever ends a hold, needs while it lasts.</summary>
    private static readonly string[] s_untouchable = ["init.scope", "dbus.service", "dbus-broker.service"];

    /// <summary>Whether it is a name, and neither an option nor a pattern: it becomes an argument of systemctl.</summary>
    internal static bool IsValid(string name) =>
        name.Length is > 0 and <= Longest && name[0] != '-'
        && name.All(character => char.IsAsciiLetterOrDigit(character) || Marks.Contains(character, StringComparison.Ordinal))
        && s_kinds.Any(kind => name.Length > kind.Length && name.EndsWith(kind, StringComparison.Ordinal));

    internal static bool IsScope(string name) => name.EndsWith(".scope", StringComparison.Ordinal);

    internal static bool IsUntouchable(string name) => s_untouchable.Contains(name) || name.StartsWith("systemd-", StringComparison.Ordinal);
}
