using System.Globalization;
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

    private const int ScratchWords = 8;

    private WriteMaps(BpfRing events, BpfMap control, BpfMap scratch, BpfTable pages, BpfTable files, BpfTable names) =>
        (Events, Control, Scratch, Pages, Files, Names) = (events, control, scratch, pages, files, names);

    /// <summary>Events and names on their way to user space.</summary>
    public BpfRing Events { get; }

    /// <summary>The counters.</summary>
    public BpfMap Control { get; }

    /// <summary>For each processor some words of its own. A program runs once at a time on each.</summary>
    public BpfMap Scratch { get; }

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
                Keep(BpfMap.Create("quench_wscratch", PossibleProcessors(), ScratchWords)),
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
        Scratch.Dispose();
        Pages.Dispose();
        Files.Dispose();
        Names.Dispose();
    }

    /// <summary>One more than the highest number that a processor can have, those that are plugged in later included: "0-3" or "0,2-7". (cputopology.rst)</summary>
    private static int PossibleProcessors()
    {
        string last = File.ReadAllText("/sys/devices/system/cpu/possible").Trim().Split(',', '-')[^1];
        return int.Parse(last, CultureInfo.InvariantCulture) + 1;
    }
}
