using System.Globalization;

namespace Quench.Vault;

/// <summary>
/// Which recovery points of one group stay. Each rule keeps points on its own; a point goes when no rule keeps it. It has no clock: what it
/// decides depends on its arguments alone. (docs/retention.md)
/// </summary>
/// <remarks>
/// Hours, days, weeks (from Monday), months and years are those of UTC, so that the same points give the same answer wherever and whenever it is
/// asked. "Within" counts back from the newest point of the group and not from now: a machine that has made no points for long loses none by it, nor
/// does one whose clock jumped ahead.
/// </remarks>
public sealed record RetentionPolicy
{
    /// <summary>How far two machines' clocks may differ before a time counts as wrong.</summary>
    public static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(10);

    /// <summary>Keep the newest so many; 0 for none by this rule, here and below.</summary>
    public int KeepLast { get; init; }

    /// <summary>Keep the newest point of each of the newest so many hours that have points.</summary>
    public int KeepHourly { get; init; }

    /// <summary>The same of days.</summary>
    public int KeepDaily { get; init; }

    /// <summary>The same of weeks.</summary>
    public int KeepWeekly { get; init; }

    /// <summary>The same of months.</summary>
    public int KeepMonthly { get; init; }

    /// <summary>The same of years.</summary>
    public int KeepYearly { get; init; }

    /// <summary>Keep all that are at most so much older than the newest of the group.</summary>
    public TimeSpan KeepWithin { get; init; }

    /// <summary>Keep those that carry one of these words.</summary>
    public IReadOnlyList<string> KeepTags { get; init; } = [];

    /// <summary>Whether no rule is set: then every point would go, which nobody means.</summary>
    public bool KeepsNothing =>
        KeepLast <= 0 && KeepHourly <= 0 && KeepDaily <= 0 && KeepWeekly <= 0 && KeepMonthly <= 0 && KeepYearly <= 0
        && KeepWithin <= TimeSpan.Zero && KeepTags.Count == 0;

    /// <summary>Whether a moment is later than it can be.</summary>
    /// <param name="moment">The moment.</param>
    /// <param name="now">The time.</param>
    public static bool IsFuture(DateTimeOffset moment, DateTimeOffset now) => moment - now > ClockTolerance;

    /// <summary>Judges the points of one group.</summary>
    /// <param name="group">The points, in any order.</param>
    /// <param name="now">
    /// The time. A point of a later moment stays and takes nobody's place: neither a wrong clock nor a flood of such points makes good ones go. So
    /// does a damaged one, of which nothing is known.
    /// </param>
    /// <returns>A verdict for each point, newest first.</returns>
    public IReadOnlyList<RetentionVerdict> Apply(IEnumerable<RecoveryPoint> group, DateTimeOffset now)
    {
        List<RecoveryPoint> points = [.. group.OrderByDescending(point => (point.Instant, point.Written, point.Id))];
        List<RecoveryPoint> judged = [.. points.Where(point => point.Damage is null && !IsFuture(point.Instant, now))];
        Dictionary<Guid, List<string>> reasons = judged.ToDictionary(point => point.Id, _ => new List<string>());
        for (int rank = 0; rank < Math.Min(KeepLast, judged.Count); rank++)
        {
            reasons[judged[rank].Id].Add("last");
        }

        foreach ((string rule, int count, Func<DateTimeOffset, (long Number, string Name)> period) in Periods())
        {
            KeepNewestOfEach(judged, count, rule, period, reasons);
        }

        foreach (RecoveryPoint point in judged)
        {
            if (KeepWithin > TimeSpan.Zero && judged[0].Instant - point.Instant <= KeepWithin)
            {
                reasons[point.Id].Add("within");
            }

            reasons[point.Id].AddRange(point.Tags.Intersect(KeepTags, StringComparer.Ordinal).Select(tag => "tag " + tag));
        }

        return [.. points.Select(point => new RetentionVerdict(point, ReasonsOf(point, reasons)))];
    }

    private static List<string> ReasonsOf(RecoveryPoint point, Dictionary<Guid, List<string>> reasons) =>
        point.Damage is not null ? ["damaged, so it can't be judged"]
        : reasons.TryGetValue(point.Id, out List<string>? found) ? found
        : ["dated in the future"];

    private static void KeepNewestOfEach(
        List<RecoveryPoint> newestFirst, int count, string rule, Func<DateTimeOffset, (long Number, string Name)> period,
        Dictionary<Guid, List<string>> reasons)
    {
        long previous = long.MinValue;
        foreach (RecoveryPoint point in newestFirst)
        {
            if (count <= 0)
            {
                return;
            }

            (long number, string name) = period(point.Instant.ToUniversalTime());
            if (number != previous)
            {
                reasons[point.Id].Add($"{rule} {name}");
                previous = number;
                count--;
            }
        }
    }

    private IEnumerable<(string Rule, int Count, Func<DateTimeOffset, (long Number, string Name)> Period)> Periods()
    {
        yield return ("hourly", KeepHourly, at => (at.Ticks / TimeSpan.TicksPerHour, Text(at, "yyyy-MM-dd HH'h'")));
        yield return ("daily", KeepDaily, at => (at.Ticks / TimeSpan.TicksPerDay, Text(at, "yyyy-MM-dd")));
        yield return ("weekly", KeepWeekly, at => (WeekOf(at), Text(new DateTimeOffset(WeekOf(at) * 7 * TimeSpan.TicksPerDay, TimeSpan.Zero), "yyyy-MM-dd")));
        yield return ("monthly", KeepMonthly, at => ((at.Year * 12L) + at.Month, Text(at, "yyyy-MM")));
        yield return ("yearly", KeepYearly, at => (at.Year, Text(at, "yyyy")));
    }

    /// <summary>Weeks since 1 January of the year 1, which was a Monday.</summary>
    private static long WeekOf(DateTimeOffset at) => at.Ticks / (7 * TimeSpan.TicksPerDay);

    private static string Text(DateTimeOffset at, string format) => at.ToString(format, CultureInfo.InvariantCulture);
}

/// <summary>What a selection says of one point.</summary>
/// <param name="Point">The point.</param>
/// <param name="Reasons">Why it stays, one phrase for each rule that keeps it; empty when it goes.</param>
public sealed record RetentionVerdict(RecoveryPoint Point, IReadOnlyList<string> Reasons)
{
    /// <summary>Whether it stays.</summary>
    public bool Stays => Reasons.Count > 0;
}
