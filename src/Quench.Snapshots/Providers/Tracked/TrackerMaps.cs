using Quench.Interop.Bpf;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// What the tracker's programs and user space share: a bit for each block; a ring of ranges that are too long to be marked bit by bit inside a program;
/// and a page of counters (<see cref="TrackerWord"/>). The kernel frees it with the last descriptor.
/// </summary>
internal sealed class TrackerMaps : IDisposable
{
    /// <summary>Words of a log entry: how many blocks (0 while nothing is in it), then the first one.</summary>
    public const int LogEntryWords = 2;

    /// <summary>Makes them, all zeros.</summary>
    /// <param name="target">What is tracked.</param>
    /// <param name="logEntries">Room of the log; a power of two.</param>
    public TrackerMaps(TrackerTarget target, int logEntries)
    {
        LogEntries = logEntries;
        Bits = BpfMap.Create("quench_bits", target.Words, 1);
        try
        {
            Log = BpfMap.Create("quench_log", logEntries, LogEntryWords);
            Control = BpfMap.Create("quench_control", 1, (int)TrackerWord.Count);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The blocks: programs set bits, user space takes whole words.</summary>
    public BpfMap Bits { get; }

    /// <summary>The long ranges.</summary>
    public BpfMap Log { get; } = null!;

    /// <summary>The counters.</summary>
    public BpfMap Control { get; } = null!;

    /// <summary>Room of the log.</summary>
    public int LogEntries { get; }

    /// <summary>Reads a counter.</summary>
    public ulong this[TrackerWord word] => Control.Read((int)word);

    /// <inheritdoc/>
    public void Dispose()
    {
        Bits.Dispose();
        Log?.Dispose();
        Control?.Dispose();
    }
}
