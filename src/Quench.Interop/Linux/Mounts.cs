using System.Globalization;
using System.Text;

namespace Quench.Interop.Linux;

/// <summary>One line of /proc/self/mountinfo.</summary>
/// <param name="Device">The device number of the mounted file system.</param>
/// <param name="MountPoint">Where it is mounted.</param>
/// <param name="Type">The file system's type.</param>
/// <param name="Source">What it was mounted from.</param>
public sealed record MountEntry(DeviceNumber Device, string MountPoint, string Type, string Source)
{
    /// <summary>The mount's number; unique while it lasts. (<see cref="NativeFile.TryGetMountNumber"/>)</summary>
    public int Number { get; init; }

    /// <summary>Which folder of the file system is seen at the mount point: "/" unless it is a bind mount or a subvolume.</summary>
    public string Root { get; init; } = "/";
}

/// <summary>What is mounted where, as this process sees it. (proc_pid_mountinfo(5))</summary>
public static class Mounts
{
    /// <summary>All mounts, in the kernel's order: a later one may lie over an earlier one.</summary>
    public static IReadOnlyList<MountEntry> Read() =>
        Parse(File.ReadLines("/proc/self/mountinfo"));

    internal static IReadOnlyList<MountEntry> Parse(IEnumerable<string> lines) => [.. lines.Select(Parse).OfType<MountEntry>()];

    private static MountEntry? Parse(string line)
    {
        string[] fields = line.Split(' ');
        int separator = Array.IndexOf(fields, "-");
        if (separator < 6 || separator + 2 >= fields.Length)
        {
            return null;
        }

        string[] numbers = fields[2].Split(':');
        DeviceNumber device = new(uint.Parse(numbers[0], CultureInfo.InvariantCulture), uint.Parse(numbers[1], CultureInfo.InvariantCulture));
        return new MountEntry(device, Unescape(fields[4]), fields[separator + 1], Unescape(fields[separator + 2]))
        {
            Number = int.Parse(fields[0], CultureInfo.InvariantCulture),
            Root = Unescape(fields[3]),
        };
    }

    /// <summary>Turns the octal escapes of space, tab, newline and backslash back.</summary>
    internal static string Unescape(string field)
    {
        if (!field.Contains('\\', StringComparison.Ordinal))
        {
            return field;
        }

        StringBuilder text = new(field.Length);
        for (int at = 0; at < field.Length; at++)
        {
            if (field[at] == '\\' && at + 3 < field.Length)
            {
                text.Append((char)Convert.ToInt32(field.Substring(at + 1, 3), 8));
                at += 3;
            }
            else
            {
                text.Append(field[at]);
            }
        }

        return text.ToString();
    }
}
