using System.Globalization;
using Quench.Interop.Bpf;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>Where a tracker that stands between backups has its names. All of it is gone after a reboot, and so is the tracker.</summary>
/// <remarks>
/// <code>
/// /run/quench/bpf/                      a BPF file system
///     VERSION-MAJOR-MINOR-START-LENGTH-SEQUENCE/
///         bits, control, local          the maps
///         landed_1, landed_2            the programs, two copies of each
///         queued_1, queued_2
///         landed_1_link, …              their places at the tracepoints
/// /run/quench/tracked/(the same name)/
///     lock                              held by the backup that uses it
///     record-NUMBER                     since when it counts; believed when the control map has the same number
/// </code>
/// The name says which device it is, where it lies, and which medium: another one is another tracker. QUENCH_RUN_DIR puts all of it elsewhere.
/// </remarks>
internal sealed record StandingFolder(string Name)
{
    private const int Version = 2; // of programs and maps: a tracker of another version is not used

    public string Objects => Path.Combine(ObjectsRoot, Name);

    public string Bits => Path.Combine(Objects, "bits");

    public string Control => Path.Combine(Objects, "control");

    public string Local => Path.Combine(Objects, "local");

    public string Landed => Path.Combine(Objects, "landed");

    public string Queued => Path.Combine(Objects, "queued");

    public string Files => Path.Combine(FilesRoot, Name);

    public string Lock => Path.Combine(Files, "lock");

    private static string Root => Environment.GetEnvironmentVariable("QUENCH_RUN_DIR") is { Length: > 0 } named ? Path.GetFullPath(named) : "/run/quench";

    private static string ObjectsRoot => Path.Combine(Root, "bpf");

    private static string FilesRoot => Path.Combine(Root, "tracked");

    /// <summary>Where the record of a number is.</summary>
    public string Record(ulong number) => Path.Combine(Files, string.Create(CultureInfo.InvariantCulture, $"record-{number:x16}"));

    /// <summary>The folder of a device as it lies now.</summary>
    public static StandingFolder Of(DiskPlace place) =>
        new(string.Create(CultureInfo.InvariantCulture, $"{Version}-{place.Device.Major}-{place.Device.Minor}-{place.Start}-{place.Length}-{place.Sequence}"));

    /// <summary>Makes the folders above, and forgets the trackers of devices that are not there any more.</summary>
    public static void Prepare()
    {
        Directory.CreateDirectory(ObjectsRoot);
        Directory.CreateDirectory(FilesRoot);
        BpfFileSystem.EnsureMounted(ObjectsRoot);
        foreach (StandingFolder folder in Directory.EnumerateDirectories(ObjectsRoot).Select(path => new StandingFolder(Path.GetFileName(path))).ToList())
        {
            if (!folder.IsOfToday())
            {
                folder.RemoveObjects();
                folder.RemoveFiles();
            }
        }
    }

    /// <summary>Lets go of the tracker, if it is there: the kernel drops it, and its record is believed no more.</summary>
    public void RemoveObjects()
    {
        if (Directory.Exists(Objects))
        {
            Directory.Delete(Objects, recursive: true);
        }
    }

    private void RemoveFiles()
    {
        if (Directory.Exists(Files))
        {
            Directory.Delete(Files, recursive: true);
        }
    }

    private bool IsOfToday()
    {
        string[] parts = Name.Split('-');
        if (parts.Length < 3
            || !uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out uint major)
            || !uint.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out uint minor))
        {
            return false;
        }

        DeviceNumber number = new(major, minor);
        return Directory.Exists($"/sys/dev/block/{number}") && Of(DiskPlace.Of(number)) == this;
    }
}
