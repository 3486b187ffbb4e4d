using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Xfs.Log;

/// <summary>Where the log was last written. Before it lies what was written in the current round, from it on the round before.</summary>
/// <param name="Index">The basic block after the last that was written; the log's length when that was the log's last.</param>
/// <param name="Cycle">The current round; 0 when the log was never used.</param>
/// <param name="CycleAfter">The round of what follows; 0 where nothing was ever written.</param>
internal readonly record struct LogHead(long Index, uint Cycle, uint CycleAfter)
{
    /// <summary>How far from the head writes in flight may have landed in any order: eight log buffers of 256 KiB.</summary>
    private const int Window = 8 * 256 * 1024 / Layout.BasicBlock;

    private const int WindowPart = 64 * 1024 / Layout.BasicBlock;

    /// <summary>Finds it by halving, then demands that all around it was written in order.</summary>
    /// <exception cref="InDoubtException">The rounds do not form two runs.</exception>
    public static async ValueTask<LogHead> FindAsync(LogArea log, CancellationToken cancellationToken)
    {
        byte[] block = new byte[Layout.BasicBlock];
        uint first = await log.CycleAsync(0, block, cancellationToken);
        uint last = await log.CycleAsync(log.Count - 1, block, cancellationToken);
        Unless(last == first || last + 1L == first || (last == 0 && first == 1), "the XFS log does not run in rounds");
        long low = 0;
        long high = log.Count;
        while (last != first && high - low > 1)
        {
            long middle = (low + high) / 2;
            bool isCurrent = await log.CycleAsync(middle, block, cancellationToken) == first;
            (low, high) = isCurrent ? (middle, high) : (low, middle);
        }

        LogHead head = new(high, first, last == first ? first : last);
        await head.RequireOrderAsync(log, cancellationToken);
        return head;
    }

    /// <summary>The round that a basic block should be of.</summary>
    public uint CycleAt(long index) => index < Index ? Cycle : CycleAfter;

    private async ValueTask RequireOrderAsync(LogArea log, CancellationToken cancellationToken)
    {
        long around = Math.Min(Window, log.Count / 2);
        byte[] window = new byte[Math.Min(WindowPart, around) * Layout.BasicBlock];
        for (long from = Index - around; from < Index + around; from += WindowPart)
        {
            int blocks = (int)Math.Min(window.Length / Layout.BasicBlock, Index + around - from);
            await log.ReadAsync(from + log.Count, window.AsMemory(0, blocks * Layout.BasicBlock), cancellationToken);
            for (int block = 0; block < blocks; block++)
            {
                uint cycle = LogArea.Cycle(window.AsSpan(block * Layout.BasicBlock));
                Unless(cycle == CycleAt((from + block + log.Count) % log.Count), "the XFS log was cut off in the middle of a write");
            }
        }
    }
}
