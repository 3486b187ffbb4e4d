namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>A unit as systemd shows it. (org.freedesktop.systemd1(5))</summary>
/// <param name="values">The properties, by name.</param>
internal sealed class UnitState(IReadOnlyDictionary<string, string> values)
{
    /// <summary>What is asked for.</summary>
    internal const string Properties =
        "LoadState,ActiveState,SubState,FreezerState,CanFreeze,CanStart,CanStop,InvocationID,MainPID,ControlGroup,StateDirectory,Result,RequiredBy,BoundBy,ConsistsOf";

    private static readonly string[] s_stoppedWithIt = ["RequiredBy", "BoundBy", "ConsistsOf"];

    internal string this[string property] => values.GetValueOrDefault(property, "");

    internal bool IsKnown => this["LoadState"] == "loaded";

    /// <summary>It runs, and is neither starting nor ending.</summary>
    internal bool IsActive => this["ActiveState"] is "active";

    /// <summary>Nothing of it runs.</summary>
    internal bool IsInactive => this["ActiveState"] is "inactive" or "failed";

    internal bool IsFrozen => this["FreezerState"] == "frozen";

    internal bool IsThawed => this["FreezerState"] is "running" or "";

    /// <summary>Those that systemd stops with it, and does not start again with it.</summary>
    internal IEnumerable<string> StoppedWithIt => s_stoppedWithIt
        .SelectMany(property => this[property].Split(' ', StringSplitOptions.RemoveEmptyEntries)).Distinct();

    /// <summary>The folders of StateDirectory=, absolute. (systemd.exec(5))</summary>
    internal IReadOnlyList<string> StateFolders => [.. this["StateDirectory"].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(name => Path.Combine("/var/lib", name))];

    /// <summary>The same run of the same processes as another look saw.</summary>
    internal bool IsSameRunAs(UnitState earlier) => this["InvocationID"] == earlier["InvocationID"] && this["MainPID"] == earlier["MainPID"];

    /// <summary>Lines of "Name=value".</summary>
    internal static UnitState Parse(string text)
    {
        Dictionary<string, string> values = [];
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals)
            {
                values[line[..equals]] = line[(equals + 1)..];
            }
        }

        return new UnitState(values);
    }
}
