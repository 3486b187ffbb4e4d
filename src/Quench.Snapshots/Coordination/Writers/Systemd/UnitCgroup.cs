using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>A unit's processes as the kernel keeps them together. (cgroups(7), Documentation/admin-guide/cgroup-v2.rst)</summary>
internal sealed class UnitCgroup : IDisposable
{
    private const string Root = "/sys/fs/cgroup";
    private const int LongestEvents = 256;

    private readonly SafeFileHandle _events;

    private UnitCgroup(SafeFileHandle events) => _events = events;

    /// <summary>Whether the kernel can freeze a unit of that group at all: the second version of cgroups, Linux 5.2.</summary>
    internal static bool CanFreeze(string group) => File.Exists(FolderOf(group) + "/cgroup.freeze");

    /// <summary>Begins to watch a group.</summary>
    internal static UnitCgroup Watch(string group) => new(NativeFile.Open(FolderOf(group) + "/cgroup.events", OpenMode.ReadOnly));

    /// <summary>Whether all of its processes are frozen now. From here on <see cref="HasChanged"/> tells of the time after.</summary>
    internal bool IsFrozen()
    {
        byte[] text = new byte[LongestEvents];
        int length = NativeFile.Read(_events, text, 0);
        return Encoding.ASCII.GetString(text, 0, length).Split('\n').Contains("frozen 1");
    }

    /// <summary>Whether it was thawed, frozen, emptied or filled since the last look, if only for a moment: the kernel keeps count.</summary>
    internal bool HasChanged() => ProcessControl.HasChanged((int)_events.DangerousGetHandle());

    /// <summary>Lets its processes go on at once, without asking systemd, which hears of it from the kernel. False when that can't be done this way.</summary>
    internal static bool TryThaw(string group)
    {
        try
        {
            File.WriteAllText(FolderOf(group) + "/cgroup.freeze", "0");
            return true;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return false; // the unit has ended, or only systemd may do it: it is asked next
        }
    }

    /// <summary>Why freezing or stopping it would freeze or stop what is needed to end that: a process of ours. Null when it would not.</summary>
    internal static string? WhyItIsOurs(string group)
    {
        if (OwnGroup() is { } own && (own == group || own.StartsWith(group + "/", StringComparison.Ordinal)))
        {
            return "Quench itself runs in it";
        }

        string ours = SelfProcess.Command()[^1];
        foreach (string process in ProcessesOf(FolderOf(group)))
        {
            if (WordsOf(process).Contains(ours))
            {
                return $"a process of Quench runs in it ({process}), which may serve a volume";
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public void Dispose() => _events.Dispose();

    private static string FolderOf(string group) => Root + group.TrimEnd('/');

    private static string? OwnGroup() =>
        File.ReadLines("/proc/self/cgroup").FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal))?[3..];

    private static IEnumerable<string> ProcessesOf(string folder)
    {
        EnumerationOptions below = new() { RecurseSubdirectories = true, IgnoreInaccessible = false, AttributesToSkip = FileAttributes.ReparsePoint };
        return !Directory.Exists(folder) ? [] : Directory.EnumerateFiles(folder, "cgroup.procs", below)
            .SelectMany(file => TryRead(file).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            .Where(process => int.TryParse(process, CultureInfo.InvariantCulture, out _));
    }

    private static string[] WordsOf(string process) => TryRead($"/proc/{process}/cmdline").Split('\0');

    private static string TryRead(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return ""; // it has ended meanwhile
        }
    }
}
