using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;
using Xunit;

namespace Quench.Tests.Imaging.Activity;

/// <summary>Sums of made-up watches, against sums that are made the plain way.</summary>
public sealed class ActivityTallyTests
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 21, 22, 58, 30, TimeSpan.Zero);

    [Fact]
    public void Sums_by_kind_group_process_and_file_are_those_of_a_plain_count()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 20; round++)
        {
            RandomActivity activity = RandomActivity.Make(random, s_start, seconds: 300, events: 800);
            ActivitySummary summary = Summarise(activity);
            WriteEvent[] writes = [.. activity.Events.Where(one => one.Kind == WriteKind.Write)];
            Assert.All(summary.Kinds, kind => Assert.Equal(
                (activity.Events.LongCount(one => one.Kind == kind.Kind), activity.Events.Where(one => one.Kind == kind.Kind).Sum(one => one.Length)), (kind.Count, kind.Bytes)));
            Assert.Equal(
                writes.GroupBy(one => (one.Process.Name, Group(one.Process))).Select(group =>
                    (group.Key, group.LongCount(), group.Sum(one => one.Length), group.Select(one => one.Process.Id).Distinct().Count(),
                    group.Where(one => one.File.Kind == WrittenKind.File).Select(one => one.File).Distinct().Count())).Order(),
                summary.Processes.Select(process => ((process.Name, process.Group), process.Writes, process.Bytes, process.Processes, process.Files)).Order());
            Assert.Equal(
                writes.GroupBy(one => one.File).Select(group => (group.Key.Inode, group.Key.Kind, group.LongCount(), group.Sum(one => one.Length))).Order(),
                summary.Files.Select(file => (file.File.Inode, file.File.Kind, file.Writes, file.Bytes)).Order());
            Assert.All(Enum.GetValues<ProcessGroup>(), group => Assert.Equal(
                (writes.LongCount(one => Group(one.Process) == group), writes.Where(one => Group(one.Process) == group).Sum(one => one.Length)), summary.Of(group)));
            Assert.Equal(summary.Files.OrderByDescending(file => file.Bytes), summary.Files);
            Assert.Equal(writes.Where(one => one.File.Kind == WrittenKind.File).Select(one => one.File).Distinct().Count(), summary.FileCount);
        }
    }

    [Fact]
    public void Quietest_and_busiest_minute_are_those_that_a_plain_search_finds()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 10; round++)
        {
            int seconds = random.Next(120, 600);
            RandomActivity activity = RandomActivity.Make(random, s_start, seconds, events: random.Next(400));
            ActivitySummary summary = Summarise(activity);
            (long Bytes, long Writes)[] minutes = [.. Enumerable.Range(0, seconds - 59).Select(begin => In(activity, begin, begin + 60))];
            Assert.Equal(minutes.Min(minute => minute.Bytes), summary.Quietest!.Bytes);
            Assert.Equal(minutes.Max(minute => minute.Bytes), summary.Busiest!.Bytes);
            Assert.Equal(TimeSpan.FromMinutes(1), summary.Quietest.Length);
            Assert.All([summary.Quietest, summary.Busiest], time =>
                Assert.Equal((time.Bytes, time.Writes), minutes[(int)(time.Start - s_start).TotalSeconds]));
        }
    }

    [Fact]
    public void Less_than_two_minutes_have_no_quiet_one()
    {
        ActivitySummary summary = Summarise(RandomActivity.Make(TestSeed.NewRandom(), s_start, seconds: 119, events: 50));
        Assert.Null(summary.Quietest);
        Assert.Null(summary.Busiest);
    }

    [Fact]
    public void Two_hours_have_a_quiet_hour_and_each_hour_of_the_day_its_sum()
    {
        RandomActivity activity = RandomActivity.Make(TestSeed.NewRandom(), s_start, seconds: 9000, events: 3000);
        TimeZoneInfo zone = TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.FromHours(2), "test", "test");
        ActivityTally tally = new();
        activity.Play(tally);
        ActivitySummary summary = tally.Summarise(zone);
        Assert.Equal(TimeSpan.FromHours(1), summary.Quietest!.Length);
        Assert.Equal(Enumerable.Range(0, 9000 - 3599).Min(begin => In(activity, begin, begin + 3600).Bytes), summary.Quietest.Bytes);
        Assert.Equal([0, 1, 2, 3], summary.Hours.Select(hour => hour.Hour)); // 22:58:30 is 0:58:30 there
        Assert.Equal(9000, summary.Hours.Sum(hour => hour.Watched.TotalSeconds));
        Assert.All(summary.Hours, hour => Assert.Equal(
            activity.Events.Where(one => one.Kind == WriteKind.Write && Second(one).ToOffset(zone.BaseUtcOffset).Hour == hour.Hour).Sum(one => one.Length), hour.Bytes));
    }

    [Fact]
    public void The_diff_area_forecast_is_the_median_and_the_worst_stretch_in_different_blocks()
    {
        Random random = TestSeed.NewRandom();
        RandomActivity activity = RandomActivity.Make(random, s_start, seconds: 200, events: 600);
        ActivityTally tally = new(TimeSpan.FromSeconds(30), TimeSpan.FromHours(1));
        activity.Play(tally);
        ActivitySummary summary = tally.Summarise(TimeZoneInfo.Utc);
        long[] counts = [.. Enumerable.Range(0, 171).Select(begin => Different(activity, begin, begin + 30)).Order()];
        Assert.Equal(new DiffAreaForecast(TimeSpan.FromSeconds(30), counts[85] * 4096, counts[^1] * 4096, IsExtrapolated: false), summary.DiffAreas[0]);
        Assert.Equal(Different(activity, 0, 200) * 4096, summary.DistinctBytes);
        DiffAreaForecast hour = summary.DiffAreas[1];
        Assert.True(hour.IsExtrapolated);
        Assert.Equal((long)(summary.DistinctBytes * (3600 / 200.0)), hour.Most);
    }

    [Fact]
    public void A_volume_at_rest_would_be_frozen_for_the_flush_alone_and_a_flooded_one_can_t_be_held()
    {
        Assert.Equal(TimeSpan.FromMilliseconds(25), Summarise(RandomActivity.Make(new Random(1), s_start, seconds: 10, events: 0)).Freeze.Most);
        RandomActivity quiet = RandomActivity.Make(new Random(1), s_start, seconds: 10, events: 0);
        ActivityTally tally = new();
        tally.Begin(quiet.Session);
        for (int second = 0; second < 10; second++)
        {
            tally.Add(new WriteEvent(s_start + TimeSpan.FromSeconds(second + 0.5), WriteKind.Write, 0, 200 << 20, new WritingProcess(5, "flood", false), WriterEvidence.Sent, new WrittenFile(WrittenKind.File, 5)));
        }

        tally.Watched(quiet.End, default);
        Assert.Equal(new FreezeForecast(null, null), tally.Summarise(TimeZoneInfo.Utc).Freeze);
    }

    [Fact]
    public void Two_watches_add_up_and_the_time_between_them_is_nobody_s()
    {
        RandomActivity one = RandomActivity.Make(TestSeed.NewRandom(), s_start, seconds: 60, events: 100);
        RandomActivity two = RandomActivity.Make(TestSeed.NewRandom(), s_start + TimeSpan.FromMinutes(3), seconds: 60, events: 100);
        ActivityTally tally = new();
        one.Play(tally, new WriteLosses(1, 2, 3, 4, 5, 6, 7));
        two.Play(tally, new WriteLosses(10, 20, 30, 40, 50, 60, 70));
        ActivitySummary summary = tally.Summarise(TimeZoneInfo.Utc);
        Assert.Equal(TimeSpan.FromMinutes(2), summary.Watched);
        Assert.Equal(new WriteLosses(11, 22, 33, 44, 55, 66, 77), summary.Losses);
        Assert.Equal(one.Events.Concat(two.Events).Count(write => write.Kind == WriteKind.Write), summary.Writes.Count);
        IReadOnlyList<TimelineColumn> columns = summary.Timeline.Cut(4);
        Assert.Equal([true, false, false, true], columns.Select(column => column.IsWatched));
        Assert.Equal(summary.Writes.Bytes, columns.Sum(column => column.Bytes));
        Assert.Equal(summary.Writes.Bytes, summary.Timeline.CutPlaces(7).Sum(column => column.Sum()));
    }

    [Theory]
    [InlineData("systemd-journal", 300, false, ProcessGroup.System)]
    [InlineData("kworker/u8:1", 12, true, ProcessGroup.System)]
    [InlineData("bash", 1, false, ProcessGroup.System)]
    [InlineData("cron", 40, false, ProcessGroup.System)]
    [InlineData("cronk", 40, false, ProcessGroup.Application)]
    [InlineData("postgres", 41, false, ProcessGroup.Application)]
    [InlineData("quench", 77, false, ProcessGroup.Watch)]
    [InlineData("", 0, false, ProcessGroup.Unknown)]
    public void A_process_belongs_to_a_group_by_its_name(string name, int id, bool isKernel, ProcessGroup group) =>
        Assert.Equal(group, ProcessGroups.Of(new WritingProcess(id, name, isKernel), ownProcess: 77));

    private static ActivitySummary Summarise(RandomActivity activity)
    {
        ActivityTally tally = new();
        activity.Play(tally);
        return tally.Summarise(TimeZoneInfo.Utc);
    }

    private static ProcessGroup Group(WritingProcess process) => ProcessGroups.Of(process, RandomActivity.OwnProcess);

    private static DateTimeOffset Second(WriteEvent one) => s_start + TimeSpan.FromSeconds((int)(one.At - s_start).TotalSeconds);

    private static (long Bytes, long Writes) In(RandomActivity activity, int from, int to)
    {
        WriteEvent[] found = [.. activity.Events.Where(one => one.Kind == WriteKind.Write && one.At >= s_start + TimeSpan.FromSeconds(from) && one.At < s_start + TimeSpan.FromSeconds(to))];
        return (found.Sum(one => one.Length), found.Length);
    }

    private static long Different(RandomActivity activity, int from, int to) => activity.Events
        .Where(one => one.Kind is WriteKind.Write or WriteKind.Discard or WriteKind.Zero && one.At >= s_start + TimeSpan.FromSeconds(from) && one.At < s_start + TimeSpan.FromSeconds(to))
        .SelectMany(one => Enumerable.Range((int)(one.Offset / 4096), one.Length == 0 ? 0 : (int)(((one.Offset + one.Length - 1) / 4096) - (one.Offset / 4096) + 1)))
        .Distinct()
        .Count();
}
