namespace Quench.Interop.Linux;

/// <summary>One line of /proc/swaps.</summary>
/// <param name="Path">The file or device, as this process would name it.</param>
/// <param name="IsFile">Whether it is a file, and not a device.</param>
public sealed record SwapArea(string Path, bool IsFile);

/// <summary>What memory is written out to at the moment. (proc_swaps(5))</summary>
public static class SwapAreas
{
    /// <summary>All areas; none where the kernel knows no swap.</summary>
    public static IReadOnlyList<SwapArea> Read() => File.Exists("/proc/swaps") ? Parse(File.ReadLines("/proc/swaps")) : [];

    internal static IReadOnlyList<SwapArea> Parse(IEnumerable<string> lines) =>
        [.. lines.Skip(1).Select(line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)).Where(fields => fields.Length >= 2).Select(fields => new SwapArea(Mounts.Unescape(fields[0]), fields[1] == "file"))];
}
