namespace Quench.Imaging.Activity.Writers;

/// <summary>When little is written, and when much. Pure.</summary>
internal static class QuietTimes
{
    private const int HourSeconds = 3600;
    private const int MinuteSeconds = 60;

    /// <summary>The stretch with the fewest or the most bytes, the earliest of equals: an hour, when at least two were watched without a break, otherwise a minute.</summary>
    /// <returns>Null when not even two minutes were.</returns>
    public static BusyTime? Find(IReadOnlyList<WatchedSpan> spans, bool busiest)
    {
        int longest = spans.Max(span => span.Seconds);
        int length = longest >= 2 * HourSeconds ? HourSeconds : MinuteSeconds;
        BusyTime? best = null;
        foreach (WatchedSpan span in spans.Where(span => span.Seconds >= Math.Min(2 * length, longest) && longest >= 2 * length))
        {
            best = Better(best, Find(span, length, busiest), busiest);
        }

        return best;
    }

    /// <summary>Each hour of the day that was watched.</summary>
    public static IReadOnlyList<HourSummary> ByHour(IReadOnlyList<WatchedSpan> spans, TimeZoneInfo zone)
    {
        (long Seconds, long Writes, long Bytes)[] hours = new (long, long, long)[24];
        foreach (WatchedSpan span in spans)
        {
            DateTimeOffset start = TimeZoneInfo.ConvertTime(span.Start, zone); // a change to summer time within a watch moves its later hours by one
            int begin = (int)start.TimeOfDay.TotalSeconds;
            for (int second = 0; second < span.Seconds; second++)
            {
                ref (long Seconds, long Writes, long Bytes) hour = ref hours[(begin + second) / HourSeconds % 24];
                WatchedSpan.Second had = At(span, second);
                hour = (hour.Seconds + 1, hour.Writes + had.Writes, hour.Bytes + had.Bytes);
            }
        }

        return [.. hours.Index().Where(hour => hour.Item.Seconds > 0).Select(hour => new HourSummary(hour.Index, TimeSpan.FromSeconds(hour.Item.Seconds), hour.Item.Writes, hour.Item.Bytes))];
    }

    private static BusyTime Find(WatchedSpan span, int length, bool busiest)
    {
        (long writes, long bytes) = (0, 0);
        BusyTime? best = null;
        for (int second = 0; second < span.Seconds; second++)
        {
            WatchedSpan.Second came = At(span, second);
            WatchedSpan.Second went = second >= length ? At(span, second - length) : default;
            writes += came.Writes - went.Writes;
            bytes += came.Bytes - went.Bytes;
            if (second >= length - 1 && (best is null || IsBetter(bytes, best.Bytes, busiest)))
            {
                best = new BusyTime(span.Start + TimeSpan.FromSeconds(second - length + 1), TimeSpan.FromSeconds(length), writes, bytes);
            }
        }

        return best!;
    }

    private static BusyTime Better(BusyTime? one, BusyTime two, bool busiest) => one is null || IsBetter(two.Bytes, one.Bytes, busiest) ? two : one;

    private static bool IsBetter(long bytes, long than, bool busiest) => busiest ? bytes > than : bytes < than;

    private static WatchedSpan.Second At(WatchedSpan span, int second) => second < span.BySecond.Length ? span.BySecond[second] : default;
}
