using Quench.Blocks;
using Quench.Vault;
using Xunit;

namespace Quench.Tests.Vault.Retention;

public sealed class ForgetPlannerTests
{
    private static readonly DateTimeOffset s_now = Points.Now;

    [Fact]
    public void A_policy_is_applied_to_each_machine_and_set_of_volumes_alone()
    {
        List<RecoveryPoint> points =
        [
            .. Series("a", "disk"), .. Series("a", "disk", "data"), .. Series("b", "disk"),
        ];
        ForgetPlan plan = Plan(points, new ForgetRequest { Policy = new RetentionPolicy { KeepLast = 6 } });
        Assert.Equal(["a: data disk", "a: disk", "b: disk"], plan.Groups.Select(group => $"{group.Host}: {string.Join(' ', group.Volumes)}").Order());
        Assert.All(plan.Groups, group => Assert.Equal(6, group.Verdicts.Count(verdict => verdict.Stays)));
        Assert.Equal(12, plan.Going.Count);
        Assert.Empty(plan.Concerns);
    }

    [Fact]
    public void Filters_choose_what_is_looked_at()
    {
        List<RecoveryPoint> points = [.. Series("a", "disk"), .. Series("b", "disk", "data"), Points.At(s_now, "a", ["x"])];
        RetentionPolicy one = new() { KeepLast = 1 };
        Assert.All(Plan(points, new ForgetRequest { Policy = one, Host = "a" }).Going, point => Assert.Equal("a", point.Host));
        Assert.All(Plan(points, new ForgetRequest { Policy = one, Volume = "data" }).Going, point => Assert.Equal("b", point.Host));
        Assert.Empty(Plan(points, new ForgetRequest { Policy = one, Tag = "x" }).Going);
        Assert.Empty(Plan(points, new ForgetRequest { Policy = one, Host = "c" }).Groups);
    }

    [Fact]
    public void Points_are_named_by_their_first_digits()
    {
        List<RecoveryPoint> points = Series("a", "disk");
        ForgetPlan plan = Plan(points, new ForgetRequest { Points = [points[3].Id.ToString("N"), points[4].Id.ToString("N").ToUpperInvariant()] });
        Assert.Equal([points[3].Id, points[4].Id], plan.Going.Select(point => point.Id));
        Assert.Equal(8, plan.Groups[0].Verdicts.Count(verdict => verdict.Stays));
        Assert.Equal("VAULT-023", Assert.Throws<QuenchException>(() => Plan(points, new ForgetRequest { Points = ["zz"] })).Code);
        Assert.Equal("VAULT-023", Assert.Throws<QuenchException>(() => Plan(points, new ForgetRequest { Points = [""] })).Code);
        string digit = Enumerable.Range(0, 16).Select(n => n.ToString("x", null)).First(n => Series100.Count(point => point.Id.ToString("N").StartsWith(n, StringComparison.Ordinal)) > 1);
        Assert.Equal("VAULT-021", Assert.Throws<QuenchException>(() => Plan(Series100, new ForgetRequest { Points = [digit] })).Code);
    }

    [Fact]
    public void What_speaks_against_it_is_said()
    {
        List<RecoveryPoint> points = Series("a", "disk");
        Assert.Equal([ForgetConcernKind.MoreThanHalf], Kinds(points, 4));
        Assert.Empty(Kinds(points, 5));
        ForgetPlan all = Plan(points, new ForgetRequest { Points = [.. points.Select(point => point.Id.ToString("N"))] });
        Assert.Equal([ForgetConcernKind.MoreThanHalf, ForgetConcernKind.LastOfVolume], all.Concerns.Select(concern => concern.Kind));
        Assert.Equal([ForgetConcernKind.FutureDated], Kinds([.. points, Points.At(s_now.AddYears(10), "b")], 9));
        Assert.Equal([ForgetConcernKind.ClockWentBack], Kinds(points, 9, s_now.AddYears(10)));
        Assert.Empty(Kinds(points, 9, s_now.AddMinutes(9))); // clocks of machines differ a little
        RecoveryPoint junk = Points.At(s_now.AddYears(10), "a", null, "disk");
        Assert.Empty(Plan([.. points, junk], new ForgetRequest { Points = [junk.Id.ToString("N")] }).Concerns); // one may always name what is wrong
    }

    [Fact]
    public void A_volume_whose_last_point_goes_is_named_although_others_of_the_group_stay()
    {
        List<RecoveryPoint> points = [.. Series("a", "disk"), Points.At(s_now.AddDays(-30), "a", null, "disk", "old")];
        ForgetPlan plan = Plan(points, new ForgetRequest { Points = [points[^1].Id.ToString("N")] });
        Assert.Contains("volume old of a", plan.Concerns.Single(concern => concern.Kind == ForgetConcernKind.LastOfVolume).What, StringComparison.Ordinal);
    }

    private static readonly List<RecoveryPoint> Series100 = [.. Enumerable.Range(0, 100).Select(n => Points.At(s_now.AddHours(-n)))];

    private static List<RecoveryPoint> Series(string host, params string[] volumes) =>
        [.. Enumerable.Range(0, 10).Select(day => Points.At(s_now.AddDays(-day), host, null, volumes))];

    private static ForgetPlan Plan(IReadOnlyList<RecoveryPoint> points, ForgetRequest request) => new ForgetPlanner(points, s_now, null).Make(request);

    private static IEnumerable<ForgetConcernKind> Kinds(List<RecoveryPoint> points, int keepLast, DateTimeOffset? newest = null) =>
        new ForgetPlanner(points, s_now, newest is { } when ? (when, "something") : null)
            .Make(new ForgetRequest { Policy = new RetentionPolicy { KeepLast = keepLast } }).Concerns.Select(concern => concern.Kind);
}
