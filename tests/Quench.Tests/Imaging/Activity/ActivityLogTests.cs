using Quench.Blocks;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;
using Xunit;

namespace Quench.Tests.Imaging.Activity;

/// <summary>A log gives back what was put into it, and after any accident a beginning of it.</summary>
public sealed class ActivityLogTests
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 21, 3, 0, 0, TimeSpan.Zero);
    private static readonly WriteLosses s_losses = new(1, 200, 30_000_000_000, 4, 5, 6, 7);

    [Fact]
    public void Sessions_events_times_and_losses_come_back()
    {
        using TemporaryDirectory folder = new();
        Random random = TestSeed.NewRandom();
        RandomActivity[] sessions = [.. Enumerable.Range(0, 3).Select(day => RandomActivity.Make(random, s_start + TimeSpan.FromDays(day), seconds: 90, events: 500))];
        foreach (RandomActivity session in sessions)
        {
            Write(folder["log"], session);
        }

        Recording read = new();
        LogEnd end = ActivityLogReader.Read(folder["log"], read);
        Assert.Equal(0, end.LeftOver);
        Assert.Equal(sessions.Select(session => session.Session), read.Sessions);
        Assert.Equal(sessions[^1].Session, end.Session);
        Assert.Equal(sessions.SelectMany(session => session.Events).Select(Plain), read.Events.Select(Plain));
        Assert.Equal((sessions[^1].End, s_losses), read.Last);
    }

    [Fact]
    public void A_file_that_is_renamed_keeps_its_identity_and_gets_its_new_name()
    {
        using TemporaryDirectory folder = new();
        WrittenFile file = new(WrittenKind.File, 12) { Path = "/before" };
        WriteEvent one = new(s_start, WriteKind.Write, 0, 512, new WritingProcess(5, "five", false), WriterEvidence.Pages, file);
        using (ActivityLogWriter log = ActivityLogWriter.Open(folder["log"], "/dev/test"))
        {
            log.Begin(new ActivitySession(s_start, "/dev/test", null, null, 1 << 20, 1));
            log.Add(one);
            file.Path = "/after";
            log.Add(one);
            log.Watched(s_start + TimeSpan.FromSeconds(1), default);
        }

        Recording read = new();
        ActivityLogReader.Read(folder["log"], read);
        Assert.Same(read.Events[0].File, read.Events[1].File);
        Assert.Equal("/after", read.Events[0].File.Path);
    }

    [Fact]
    public void A_log_that_was_cut_anywhere_gives_a_beginning_and_can_be_gone_on_with()
    {
        using TemporaryDirectory folder = new();
        Random random = TestSeed.NewRandom();
        RandomActivity activity = RandomActivity.Make(random, s_start, seconds: 20, events: 60);
        Write(folder["log"], activity);
        byte[] whole = File.ReadAllBytes(folder["log"]);
        for (int length = ActivityLogFormat.Magic.Length; length < whole.Length; length += random.Next(1, 9))
        {
            File.WriteAllBytes(folder["cut"], whole[..length]);
            Recording read = new();
            LogEnd end = ActivityLogReader.Read(folder["cut"], read);
            Assert.Equal(length, end.Length + end.LeftOver);
            Assert.Equal(activity.Events.Take(read.Events.Count).Select(Plain), read.Events.Select(Plain));
            Write(folder["cut"], activity);
            Recording again = new();
            Assert.Equal(0, ActivityLogReader.Read(folder["cut"], again).LeftOver);
            Assert.Equal(read.Events.Count + activity.Events.Count, again.Events.Count);
        }
    }

    [Fact]
    public void A_log_with_a_wrong_byte_gives_a_beginning_or_is_refused_and_never_something_else()
    {
        using TemporaryDirectory folder = new();
        Random random = TestSeed.NewRandom();
        RandomActivity activity = RandomActivity.Make(random, s_start, seconds: 20, events: 60);
        Write(folder["log"], activity);
        byte[] whole = File.ReadAllBytes(folder["log"]);
        for (int round = 0; round < 300; round++)
        {
            byte[] wrong = [.. whole];
            wrong[random.Next(wrong.Length)] ^= (byte)random.Next(1, 256);
            File.WriteAllBytes(folder["wrong"], wrong);
            Recording read = new();
            try
            {
                Assert.NotEqual(0, ActivityLogReader.Read(folder["wrong"], read).LeftOver);
            }
            catch (QuenchException refusal)
            {
                Assert.Equal("ACT-104", refusal.Code);
            }

            Assert.Equal(activity.Events.Take(read.Events.Count).Select(Plain), read.Events.Select(Plain));
        }
    }

    [Fact]
    public void A_frame_with_a_right_checksum_and_no_sense_is_refused()
    {
        using TemporaryDirectory folder = new();
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 500; round++)
        {
            byte[] payload = random.NextBytes(random.Next(1, 200));
            payload[0] = (byte)"SEW"[random.Next(3)];
            byte[] frame = [.. BitConverter.GetBytes(payload.Length), .. BitConverter.GetBytes(~Quench.FileSystems.Crc32c.Append(uint.MaxValue, payload)), .. payload];
            File.WriteAllBytes(folder["frame"], [.. ActivityLogFormat.Magic, .. frame]);
            try
            {
                ActivityLogReader.Read(folder["frame"], new Recording());
            }
            catch (QuenchException refusal)
            {
                Assert.Equal("ACT-104", refusal.Code);
            }
        }
    }

    [Fact]
    public void A_log_of_another_volume_and_a_file_that_is_no_log_are_left_alone()
    {
        using TemporaryDirectory folder = new();
        Write(folder["log"], RandomActivity.Make(new Random(3), s_start, seconds: 20, events: 6));
        File.WriteAllText(folder["letter"], "Dear Sir or Madam");
        byte[] before = File.ReadAllBytes(folder["log"]);
        Assert.Equal("ACT-105", Assert.Throws<QuenchException>(() => ActivityLogWriter.Open(folder["log"], "/dev/other")).Code);
        Assert.Equal("ACT-104", Assert.Throws<QuenchException>(() => ActivityLogWriter.Open(folder["letter"], "/dev/test")).Code);
        Assert.Equal("ACT-104", Assert.Throws<QuenchException>(() => ActivityLogReader.Read(folder["none"], new Recording())).Code);
        Assert.Equal(before, File.ReadAllBytes(folder["log"]));
        Assert.Equal("Dear Sir or Madam", File.ReadAllText(folder["letter"]));
    }

    private static void Write(string path, RandomActivity activity)
    {
        using ActivityLogWriter log = ActivityLogWriter.Open(path, activity.Session.Device);
        activity.Play(log, s_losses);
    }

    private static object Plain(WriteEvent one) => (one with { File = null! }, one.File.Kind, one.File.Inode, one.File.Path);

    private sealed class Recording : IActivitySink
    {
        public List<ActivitySession> Sessions { get; } = [];

        public List<WriteEvent> Events { get; } = [];

        public (DateTimeOffset Until, WriteLosses Losses) Last { get; private set; }

        public void Begin(ActivitySession session) => Sessions.Add(session);

        public void Add(in WriteEvent heard) => Events.Add(heard);

        public void Watched(DateTimeOffset until, WriteLosses losses) => Last = (until, losses);
    }
}
