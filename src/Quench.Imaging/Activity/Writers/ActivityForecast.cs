namespace Quench.Imaging.Activity.Writers;

/// <summary>Says from what was written what a backup now would need. Pure.</summary>
/// <remarks>
/// The freeze: the tracked provider copies in passes until 4 MiB or less are left, then holds writers for a flush and for the rest. With w bytes of different blocks written in a second, what is left
/// is what is written while a pass begins and ends, 0.1 s · w, and never more than those 4 MiB; what is written during the flush comes on top. So: flush + (min(4 MiB, 0.1 s · w) + flush · w) / r.
/// Flush and r, the rate of that last copy, are what was measured on this project's own machine (docs/performance.md, "The tracker of mounted volumes"). Where w is three quarters of r and more, passes do not get ahead.
/// </remarks>
internal static class ActivityForecast
{
    private const double FlushSeconds = 0.025;
    private const double PassSeconds = 0.1;
    private const double LittleBytes = 4 << 20;
    private const double CopyBytesPerSecond = 170 << 20;
    private const double GainPart = 0.75;

    /// <summary>The diff area for a backup of some length.</summary>
    public static DiffAreaForecast DiffArea(IReadOnlyList<WatchedSpan> spans, int window)
    {
        long[] counts = Sorted(spans, window);
        if (counts.Length > 0)
        {
            return new DiffAreaForecast(TimeSpan.FromSeconds(window), counts[counts.Length / 2] * DistinctBlocks.BlockBytes, counts[^1] * DistinctBlocks.BlockBytes, IsExtrapolated: false);
        }

        WatchedSpan longest = spans.MaxBy(span => span.Length)!;
        double proportion = window / Math.Max(1, longest.Length.TotalSeconds);
        long bytes = (long)(longest.Blocks.Total * DistinctBlocks.BlockBytes * proportion);
        return new DiffAreaForecast(TimeSpan.FromSeconds(window), bytes, bytes, IsExtrapolated: true);
    }

    /// <summary>How long writers would be held.</summary>
    public static FreezeForecast Freeze(IReadOnlyList<WatchedSpan> spans)
    {
        long[] counts = Sorted(spans, 1);
        return counts.Length == 0 ? new FreezeForecast(Hold(0), Hold(0)) : new FreezeForecast(Hold(counts[counts.Length / 2]), Hold(counts[^1]));
    }

    private static TimeSpan? Hold(long blocksPerSecond)
    {
        double written = (double)blocksPerSecond * DistinctBlocks.BlockBytes;
        double rest = Math.Min(LittleBytes, PassSeconds * written) + (FlushSeconds * written);
        return written < GainPart * CopyBytesPerSecond ? TimeSpan.FromSeconds(FlushSeconds + (rest / CopyBytesPerSecond)) : null;
    }

    private static long[] Sorted(IReadOnlyList<WatchedSpan> spans, int window)
    {
        long[] counts = [.. spans.SelectMany(span => span.Blocks.CountSpans(window, span.Seconds))];
        Array.Sort(counts);
        return counts;
    }
}
