using Quench.Interop.Bpf;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// What the tracker's programs and user space share: a bit for each block; a page of counters (<see cref="TrackerWord"/>); and for a tracker of one backup a ring of ranges that are too long to
/// be marked bit by bit inside a program, and what two copies of a program tell each other. One that stands between backups has nobody who empties a ring: it has two planes of bits instead, and marks long ranges by whole words.
/// The kernel frees them with the last descriptor, or the last name if they were pinned.
/// </summary>
internal sealed class TrackerMaps : IDisposable
{
    /// <summary>Words of a log entry: how many blocks (0 while nothing is in it), then the first one.</summary>
    public const int LogEntryWords = 2;

    private const int Planes = 2;
    private const string BitsName = "quench_bits";
    private const string ControlName = "quench_control";

    private TrackerMaps(BpfMap bits, BpfMap control, BpfMap? taken, BpfMap? log, int logEntries) =>
        (Bits, Control, Taken, Log, LogEntries) = (bits, control, taken, log, logEntries);

    /// <summary>The blocks: programs set bits, user space takes whole words.</summary>
    public BpfMap Bits { get; }

    /// <summary>The counters.</summary>
    public BpfMap Control { get; }

    /// <summary>What the first copies of the programs have taken on each processor and the second ones have not seen yet; null when it was opened, for only programs that are loaded need it.</summary>
    public BpfMap? Taken { get; }

    /// <summary>Processors that <see cref="Taken"/> has room for: all that this machine could have.</summary>
    public int Processors => Taken is null ? 0 : Taken.Length / TrackerProgram.TakenWordsEach;

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
        MakeControl,
        MakeTaken,
        () => BpfMap.Create("quench_log", logEntries, LogEntryWords),
        logEntries);

    /// <summary>Makes those of a tracker that stands between backups, all zeros.</summary>
    public static TrackerMaps ForStanding(TrackerTarget target) => Make(() => BpfMap.Create(BitsName, Planes * target.Words, 1), MakeControl, MakeTaken);

    /// <summary>Opens those of a tracker that stands.</summary>
    public static TrackerMaps OpenPinned(TrackerTarget target, string bits, string control) =>
        Make(() => BpfMap.OpenPinned(bits, Planes * target.Words, 1), () => BpfMap.OpenPinned(control, 1, (int)TrackerWord.Count));

    /// <inheritdoc/>
    public void Dispose()
    {
        Bits.Dispose();
        Control.Dispose();
        Taken?.Dispose();
        Log?.Dispose();
    }

    private static BpfMap MakeControl() => BpfMap.Create(ControlName, 1, (int)TrackerWord.Count);

    private static BpfMap MakeTaken() => BpfMap.Create("quench_taken", 1, Processor.CountPossible() * TrackerProgram.TakenWordsEach);

    private static TrackerMaps Make(Func<BpfMap> bits, Func<BpfMap> control, Func<BpfMap>? taken = null, Func<BpfMap>? log = null, int logEntries = 0)
    {
        List<BpfMap?> made = [];
        try
        {
            foreach (Func<BpfMap>? make in (ReadOnlySpan<Func<BpfMap>?>)[bits, control, taken, log])
            {
                made.Add(make?.Invoke());
            }

            return new TrackerMaps(made[0]!, made[1]!, made[2], made[3], logEntries);
        }
        catch
        {
            made.ForEach(map => map?.Dispose());
            throw;
        }
    }
}
