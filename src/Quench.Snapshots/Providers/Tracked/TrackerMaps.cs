using Quench.Interop.Bpf;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// What the tracker's programs and user space share: a bit for each block; a page of counters (<see cref="TrackerWord"/>); and for a tracker of one backup a ring of ranges that are too long to
/// be marked bit by bit inside a program, and what each processor keeps for itself (<see cref="TrackerLocal"/>). One that stands between backups has nobody who empties a ring: it has two planes of bits instead, and marks long ranges by whole words.
/// The kernel frees them with the last descriptor, or the last name if they were pinned.
/// </summary>
internal sealed class TrackerMaps : IDisposable
{
    /// <summary>Words of a log entry: how many blocks (0 while nothing is in it), then the first one.</summary>
    public const int LogEntryWords = 2;

    private const int Planes = 2;
    private const string BitsName = "quench_bits";
    private const string ControlName = "quench_control";

    private TrackerMaps(BpfMap bits, BpfMap control, BpfMap local, BpfMap? log, int logEntries) =>
        (Bits, Control, Local, Log, LogEntries) = (bits, control, local, log, logEntries);

    /// <summary>The blocks: programs set bits, user space takes whole words.</summary>
    public BpfMap Bits { get; }

    /// <summary>The counters.</summary>
    public BpfMap Control { get; }

    /// <summary>What each processor keeps for itself.</summary>
    public BpfMap Local { get; }

    /// <summary>Processors that <see cref="Local"/> has room for: all that this machine could have.</summary>
    public int Processors => Local.Length / TrackerLocal.Words;

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

    /// <summary>The sum of a word of <see cref="TrackerLocal"/> over all processors.</summary>
    public long SumLocal(int word)
    {
        long sum = 0;
        for (int processor = 0; processor < Processors; processor++)
        {
            sum = unchecked(sum + (long)Local.Read((processor * TrackerLocal.Words) + word));
        }

        return sum;
    }

    /// <summary>Takes bytes from a word of <see cref="TrackerLocal"/>, as if the kernel had not run a program: for tests.</summary>
    internal void Unhear(int word, long bytes) => Local.Write(word, unchecked(Local.Read(word) - (ulong)bytes));

    /// <summary>Makes those for one backup, all zeros.</summary>
    /// <param name="target">What is tracked.</param>
    /// <param name="logEntries">Room of the log; a power of two.</param>
    public static TrackerMaps ForOneBackup(TrackerTarget target, int logEntries) => Make(
        () => BpfMap.Create(BitsName, target.Words, 1),
        MakeControl,
        MakeLocal,
        () => BpfMap.Create("quench_log", logEntries, LogEntryWords),
        logEntries);

    /// <summary>Makes those of a tracker that stands between backups, all zeros.</summary>
    public static TrackerMaps ForStanding(TrackerTarget target) => Make(() => BpfMap.Create(BitsName, Planes * target.Words, 1), MakeControl, MakeLocal);

    /// <summary>Opens those of a tracker that stands.</summary>
    public static TrackerMaps OpenPinned(TrackerTarget target, StandingFolder folder) => Make(
        () => BpfMap.OpenPinned(folder.Bits, Planes * target.Words, 1),
        () => BpfMap.OpenPinned(folder.Control, 1, (int)TrackerWord.Count),
        () => BpfMap.OpenPinned(folder.Local, 1, LocalWords()));

    /// <summary>Gives them names.</summary>
    public void Pin(StandingFolder folder)
    {
        Bits.Pin(folder.Bits);
        Control.Pin(folder.Control);
        Local.Pin(folder.Local);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Bits.Dispose();
        Control.Dispose();
        Local.Dispose();
        Log?.Dispose();
    }

    private static BpfMap MakeControl() => BpfMap.Create(ControlName, 1, (int)TrackerWord.Count);

    private static BpfMap MakeLocal() => BpfMap.Create("quench_local", 1, LocalWords());

    private static int LocalWords() => Processor.CountPossible() * TrackerLocal.Words;

    private static TrackerMaps Make(Func<BpfMap> bits, Func<BpfMap> control, Func<BpfMap> local, Func<BpfMap>? log = null, int logEntries = 0)
    {
        List<BpfMap> made = [];
        try
        {
            foreach (Func<BpfMap>? make in (ReadOnlySpan<Func<BpfMap>?>)[bits, control, local, log])
            {
                if (make is not null)
                {
                    made.Add(make());
                }
            }

            return new TrackerMaps(made[0], made[1], made[2], made.ElementAtOrDefault(3), logEntries);
        }
        catch
        {
            made.ForEach(map => map.Dispose());
            throw;
        }
    }
}
