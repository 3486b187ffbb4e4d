using System.Globalization;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Vault.Retention;

public sealed class RetentionPolicyTests
{
    private static readonly DateTimeOffset s_now = Points.Now;

    [Fact]
    public void Any_policy_keeps_what_a_naive_model_keeps()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 2000; round++)
        {
            List<RecoveryPoint> points = Points.Random(random, random.Next(0, 60));
            RetentionPolicy policy = new()
            {
                KeepLast = random.Next(3) * random.Next(8),
                KeepHourly = random.Next(2) * random.Next(30),
                KeepDaily = random.Next(2) * random.Next(12),
                KeepWeekly = random.Next(2) * random.Next(8),
                KeepMonthly = random.Next(2) * random.Next(14),
                KeepYearly = random.Next(2) * random.Next(4),
                KeepWithin = TimeSpan.FromHours(random.Next(2) * random.Next(2000)),
                KeepTags = random.Next(3) == 0 ? ["keep"] : [],
            };
            HashSet<Guid> kept = [.. policy.Apply(points, s_now).Where(verdict => verdict.Stays).Select(verdict => verdict.Point.Id)];
            Assert.Equal(Naive(policy, points).Order(), kept.Order());
        }
    }

    [Fact]
    public void More_points_to_keep_never_lets_go_of_one_that_fewer_kept()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 500; round++)
        {
            List<RecoveryPoint> points = Points.Random(random, 40);
            RetentionPolicy few = new() { KeepLast = random.Next(5), KeepDaily = random.Next(9), KeepMonthly = random.Next(5), KeepHourly = random.Next(5) };
            RetentionPolicy more = few with { KeepLast = few.KeepLast + 1, KeepDaily = few.KeepDaily + 1, KeepYearly = 1 };
            Assert.Subset(Kept(more, points), Kept(few, points));
        }
    }

    [Fact]
    public void Applying_a_policy_to_what_it_kept_keeps_all_of_it()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 500; round++)
        {
            RetentionPolicy policy = new() { KeepLast = 1 + random.Next(5), KeepDaily = random.Next(9), KeepWeekly = random.Next(5), KeepMonthly = random.Next(9) };
            List<RecoveryPoint> points = Points.Random(random, 50);
            HashSet<Guid> kept = Kept(policy, points);
            Assert.Equal(kept, Kept(policy, [.. points.Where(point => kept.Contains(point.Id))]));
        }
    }

    [Fact]
    public void Points_of_the_future_stay_and_take_nobodys_place()
    {
        List<RecoveryPoint> good = [.. Enumerable.Range(0, 10).Select(day => Points.At(s_now.AddDays(-day)))];
        List<RecoveryPoint> flood = [.. Enumerable.Range(1, 1000).Select(day => Points.At(s_now.AddDays(day)))];
        RetentionPolicy policy = new() { KeepLast = 3, KeepDaily = 5, KeepWithin = TimeSpan.FromDays(6) };
        HashSet<Guid> without = Kept(policy, good);
        HashSet<Guid> with = Kept(policy, [.. good, .. flood]);
        Assert.Subset(with, without);
        Assert.Subset(with, flood.Select(point => point.Id).ToHashSet());
        Assert.Equal(without.Count + flood.Count, with.Count);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3650)]
    public void A_clock_that_jumped_ahead_makes_nothing_go(int days)
    {
        List<RecoveryPoint> points = Points.Random(TestSeed.NewRandom(), 50);
        RetentionPolicy policy = new() { KeepWithin = TimeSpan.FromDays(30), KeepHourly = 5, KeepDaily = 7 };
        Assert.Equal(Kept(policy, points), Kept(policy, points, s_now.AddDays(days)));
    }

    [Fact]
    public void Every_point_that_stays_says_why()
    {
        List<RecoveryPoint> points =
        [
            Points.At(s_now.AddMinutes(-1)), Points.At(s_now.AddMinutes(-2), tags: ["gold"]), Points.At(s_now.AddDays(-1)), Points.At(s_now.AddMinutes(-3)),
            Points.At(s_now.AddDays(1)), Points.At(s_now.AddDays(-2)) with { Damage = "its manifest is missing" },
        ];
        RetentionPolicy policy = new() { KeepLast = 1, KeepDaily = 2, KeepTags = ["gold"] };
        IReadOnlyList<RetentionVerdict> verdicts = policy.Apply(points, s_now);
        Assert.Equal(points.OrderByDescending(point => point.Instant).Select(point => point.Id), verdicts.Select(verdict => verdict.Point.Id));
        Assert.Equal(
            ["dated in the future", "last, daily 2026-11-21", "tag gold", "", "daily 2026-11-20", "damaged, so it can't be judged"],
            verdicts.Select(verdict => string.Join(", ", verdict.Reasons)));
    }

    [Fact]
    public void A_week_begins_on_monday_and_periods_are_those_of_utc()
    {
        DateTimeOffset sunday = new(2026, 11, 15, 23, 30, 0, TimeSpan.Zero);
        RecoveryPoint late = Points.At(sunday.ToOffset(TimeSpan.FromHours(9))); // Monday there, Sunday in UTC
        RecoveryPoint monday = Points.At(sunday.AddHours(1));
        IReadOnlyList<RetentionVerdict> verdicts = new RetentionPolicy { KeepWeekly = 2 }.Apply([late, monday], s_now);
        Assert.Equal(["weekly 2026-11-16"], verdicts[0].Reasons);
        Assert.Equal(["weekly 2026-11-09"], verdicts[1].Reasons);
    }

    private static HashSet<Guid> Kept(RetentionPolicy policy, List<RecoveryPoint> points, DateTimeOffset? now = null) =>
        [.. policy.Apply(points, now ?? s_now).Where(verdict => verdict.Stays).Select(verdict => verdict.Point.Id)];

    /// <summary>The rules in the words of the manual, with no thought for speed.</summary>
    private static HashSet<Guid> Naive(RetentionPolicy policy, List<RecoveryPoint> points)
    {
        HashSet<Guid> kept = [];
        List<RecoveryPoint> newestFirst = [.. points.OrderByDescending(point => (point.Instant, point.Written, point.Id))];
        kept.UnionWith(newestFirst.Take(policy.KeepLast).Select(point => point.Id));
        kept.UnionWith(points.Where(point => policy.KeepTags.Any(point.Tags.Contains)).Select(point => point.Id));
        kept.UnionWith(points.Where(point => policy.KeepWithin > TimeSpan.Zero && point.Instant >= newestFirst[0].Instant - policy.KeepWithin).Select(point => point.Id));
        (int Count, Func<DateTime, string> Name)[] periods =
        [
            (policy.KeepHourly, at => at.ToString("yyyyMMddHH", CultureInfo.InvariantCulture)),
            (policy.KeepDaily, at => at.ToString("yyyyMMdd", CultureInfo.InvariantCulture)),
            (policy.KeepWeekly, at => $"{ISOWeek.GetYear(at)}-{ISOWeek.GetWeekOfYear(at)}"),
            (policy.KeepMonthly, at => at.ToString("yyyyMM", CultureInfo.InvariantCulture)),
            (policy.KeepYearly, at => at.ToString("yyyy", CultureInfo.InvariantCulture)),
        ];
        foreach ((int count, Func<DateTime, string> name) in periods)
        {
            kept.UnionWith(newestFirst.GroupBy(point => name(point.Instant.UtcDateTime)).Take(count).Select(group => group.First().Id));
        }

        return kept;
    }
}
