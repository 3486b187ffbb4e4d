using Quench.Interop.Bpf;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// What the tracker's programs and user space share: a bit for each block; a page of counters (<see cref="TrackerWord"/>); and for a tracker of one backup a ring of ranges that are too long to
/// be marked bit by bit inside a program. One that stands between backups has nobody who empties a ring: it has two planes of bits instead, and marks long ranges by whole words.
/// The kernel frees them with the last descriptor, or the last name if they were pinned.
/// </summary>
internal sealed class TrackerMaps : IDisposable
{
    /// <summary>Words of a log entry: how many blocks (0 while nothing is in it), then the first one.</summary>
    public const int LogEntryWords = 2;

    private const int Planes = 2;
    private const string BitsName = "quench_bits";
    private const string ControlName = "quench_control";

    private TrackerMaps(BpfMap bits, BpfMap control, BpfMap? log, int logEntries) => (Bits, Control, Log, LogEntries) = (bits, control, log, logEntries);

    /// <summary>The blocks: programs set bits, user space takes whole words.</summary>
    public BpfMap Bits { get; }

    /// <summary>The counters.</summary>
    public BpfMap Control { get; }

    /// <summary>The long ranges; null for a tracker that stands.</summary>
    public BpfMap? Log { get; }

    /// <summary>Room of the log.</summary>
    public int LogEntries { get; }

    /// <summary>Reads a counter.</summary>
    public ulong this[TrackerWord word]
    {
        get => Control.Read((int)word);
        set => Control.Write((int)word, value);
    }

    /// <summary>Makes those for one backup, all zeros.</summary>
    /// <param name="target">What is tracked.</param>
    /// <param name="logEntries">Room of the log; a power of two.</param>
    public static TrackerMaps ForOneBackup(TrackerTarget target, int logEntries) => Make(
        () => BpfMap.Create(BitsName, target.Words, 1),
        () => BpfMap.Create(ControlName, 1, (int)TrackerWord.Count),
        () => BpfMap.Create("quench_log", logEntries, LogEntryWords),
        logEntries);

    /// <summary>Makes those of a tracker that stands between backups, all zeros.</summary>
    public static TrackerMaps ForStanding(TrackerTarget target) =>
        Make(() => BpfMap.Create(BitsName, Planes * target.Words, 1), () => BpfMap.Create(ControlName, 1, (int)TrackerWord.Count), null, 0);

    /// <summary>Opens those of a tracker that stands.</summary>
    public static TrackerMaps OpenPinned(TrackerTarget target, string bits, string control) =>
        Make(() => BpfMap.OpenPinned(bits, Planes * target.Words, 1), () => BpfMap.OpenPinned(control, 1, (int)TrackerWord.Count), null, 0);

    /// <inheritdoc/>
    public void Dispose()
    {
        Bits.Dispose();
        Control.Dispose();
        Log?.Dispose();
    }

    private static TrackerMaps Make(Func<BpfMap> bits, Func<BpfMap> control, Func<BpfMap>? log, int logEntries)
    {
        List<BpfMap> made = [];
        try
        {
            made.Add(bits());
            made.Add(control());
            if (log is not null)
            {
                made.Add(log());
            }

            return new TrackerMaps(made[0], made[1], made.ElementAtOrDefault(2), logEntries);
        }
        catch
        {
            made.ForEach(map => map.Dispose());
            throw;
        }
    }
}
