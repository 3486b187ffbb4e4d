using Quench.Blocks;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>Where the filter keeps what lives as long as an attachment does. All of it is on a file system that a reboot empties.</summary>
/// <remarks>
/// <code>
/// /run/quench/volumes/NAME/
///     lock            held by the holder and its workers: free means nobody serves this name
///     state.json      what is attached as what; written when the device is ready
///     control.sock    the worker's door, which the holder keeps open
///     worker.log      what holder and workers had to say
///     mount/          the FUSE directory: "volume", and a file for each exposed snapshot
///     snapshots/      the FUSE directory of what is being read of snapshots, once something is: a session of its own, so that who reads or waits there holds up no volume
///     snapshots.table which slot of the snapshot store holds what, while there are persistent snapshots
///     untracked       why change tracking was given up, if it was
///     changes-*       an answer or a question about changes, while it is on its way
/// </code>
/// QUENCH_RUN_DIR puts it elsewhere. What outlives an attachment is in <see cref="StateDirectory"/>.
/// </remarks>
internal sealed record FilterDirectory(string Name)
{
    private const int MaxNameLength = 64;

    internal static string Root => Path.Combine(Environment.GetEnvironmentVariable("QUENCH_RUN_DIR") ?? "/run/quench", "volumes");

    internal string Folder => Path.Combine(Root, Name);

    internal string Lock => Path.Combine(Folder, "lock");

    internal string State => Path.Combine(Folder, "state.json");

    internal string Socket => Path.Combine(Folder, "control.sock");

    internal string Log => Path.Combine(Folder, "worker.log");

    internal string Untracked => Path.Combine(Folder, "untracked");

    internal string Mount => Path.Combine(Folder, "mount");

    internal string Snapshots => Path.Combine(Folder, "snapshots");

    internal static IEnumerable<FilterDirectory> All() =>
        Directory.Exists(Root) ? Directory.EnumerateDirectories(Root).Order(StringComparer.Ordinal).Select(folder => new FilterDirectory(Path.GetFileName(folder))) : [];

    /// <summary>Removes the folder with all that is in it. Only for who has its lock, and after the FUSE directory was unmounted.</summary>
    internal void Remove() => Directory.Delete(Folder, recursive: true);

    /// <summary>The folder for a name that a user chose.</summary>
    /// <exception cref="QuenchException">SNAP-130: the name can't be one.</exception>
    internal static FilterDirectory For(string name)
    {
        bool sound = name.Length is > 0 and <= MaxNameLength && name[0] != '.'
            && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.');
        return sound
            ? new FilterDirectory(name)
            : throw new QuenchException(
                "SNAP-130", $"\"{name}\" can't be the name of a volume", $"use 1 to {MaxNameLength} letters, digits, dots, dashes or underscores, not beginning with a dot")
            {
                ExitCode = 2,
            };
    }
}
