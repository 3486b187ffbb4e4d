using System.Globalization;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Cold;

/// <summary>A mounted file system.</summary>
/// <param name="Device">The device number that its files show; made up by the kernel for some (btrfs).</param>
/// <param name="MountPoint">Where it is mounted.</param>
/// <param name="Source">What is mounted: a device's path, or a word.</param>
internal sealed record MountEntry(DeviceNumber Device, string MountPoint, string Source);

/// <summary>The mounts that this process sees.</summary>
internal static class MountTable
{
    /// <summary>Reads the table, in the order of mounting.</summary>
    public static IReadOnlyList<MountEntry> Read() => Parse(File.ReadLines("/proc/self/mountinfo"));

    // 36 35 98:0 /root /mount\040point rw,noatime shared:1 - ext4 /dev/sda1 rw      (proc(5), /proc/pid/mountinfo)
    //       ↑device    ↑mount point              optional ↑ ends     ↑source
    internal static IReadOnlyList<MountEntry> Parse(IEnumerable<string> lines)
    {
        List<MountEntry> mounts = [];
        foreach (string line in lines)
        {
            string[] fields = line.Split(' ');
            int separator = Array.IndexOf(fields, "-", 6);
            if (separator > 0 && separator + 2 < fields.Length)
            {
                string[] number = fields[2].Split(':');
                DeviceNumber device = new(
                    uint.Parse(number[0], CultureInfo.InvariantCulture), uint.Parse(number[1], CultureInfo.InvariantCulture));
                mounts.Add(new MountEntry(device, Unescape(fields[4]), Unescape(fields[separator + 2])));
            }
        }

        return mounts;
    }

    /// <summary>Blanks, tabs, line ends and backslashes are written as \ooo.</summary>
    private static string Unescape(string field) =>
        field.Replace("\\040", " ", StringComparison.Ordinal).Replace("\\011", "\t", StringComparison.Ordinal)
            .Replace("\\012", "\n", StringComparison.Ordinal).Replace("\\134", "\\", StringComparison.Ordinal);
}
