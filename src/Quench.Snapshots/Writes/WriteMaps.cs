using Quench.Interop.Bpf;

namespace Quench.Snapshots.Writes;

/// <summary>What the two programs and user space share. The kernel frees all of it with the last descriptor, however the process ends.</summary>
internal sealed class WriteMaps : IDisposable
{
    /// <summary>A page's key: its file's cache, and its place there.</summary>
    public const int PageKeyBytes = 16;

    /// <summary>A file's key: inode number, the file system's number, generation.</summary>
    public const int FileKeyBytes = 16;

    /// <summary>Who: process number, flags (<see cref="WriteRecord"/>), name.</summary>
    public const int WhoBytes = 24;

    private WriteMaps(BpfRing events, BpfMap control, BpfTable pages, BpfTable files, BpfTable names) =>
        (Events, Control, Pages, Files, Names) = (events, control, pages, files, names);

    /// <summary>Events and names on their way to user space.</summary>
    public BpfRing Events { get; }

    /// <summary>The counters.</summary>
    public BpfMap Control { get; }

    /// <summary>Who made a page dirty, by page.</summary>
    public BpfTable Pages { get; }

    /// <summary>Who made a page of a file dirty last, by the file's cache: for pages that the table above has forgotten.</summary>
    public BpfTable Files { get; }

    /// <summary>The hash of the name under which a file was told of.</summary>
    public BpfTable Names { get; }

    /// <summary>Reads a counter.</summary>
    public ulong this[WriteWord word] => Control.Read((int)word);

    /// <summary>Makes them, empty.</summary>
    public static WriteMaps Create(WriteWatchOptions options)
    {
        List<IDisposable> made = [];
        T Keep<T>(T map)
            where T : IDisposable
        {
            made.Add(map);
            return map;
        }

        try
        {
            return new WriteMaps(
                Keep(BpfRing.Create("quench_writes", options.RingBytes)),
                Keep(BpfMap.Create("quench_wcontrol", 1, (int)WriteWord.Count)),
                Keep(BpfTable.Create("quench_wpages", options.Pages, PageKeyBytes, WhoBytes)),
                Keep(BpfTable.Create("quench_wfiles", options.Files, sizeof(ulong), WhoBytes)),
                Keep(BpfTable.Create("quench_wnames", options.Files, FileKeyBytes, sizeof(ulong))));
        }
        catch
        {
            made.ForEach(map => map.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Events.Dispose();
        Control.Dispose();
        Pages.Dispose();
        Files.Dispose();
        Names.Dispose();
    }
}
