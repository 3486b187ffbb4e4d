using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;

namespace Quench.Tests.Imaging.Activity;

/// <summary>A made-up watch: some processes, some files, bursts and pauses.</summary>
internal sealed class RandomActivity
{
    public const long VolumeLength = 1L << 30;
    public const int OwnProcess = 77;

    private RandomActivity(ActivitySession session, IReadOnlyList<WriteEvent> events, DateTimeOffset end) => (Session, Events, End) = (session, events, end);

    public ActivitySession Session { get; }

    public IReadOnlyList<WriteEvent> Events { get; }

    public DateTimeOffset End { get; }

    public TimeSpan Length => End - Session.Start;

    public static RandomActivity Make(Random random, DateTimeOffset start, int seconds, int events)
    {
        WritingProcess[] processes =
        [
            new(1, "systemd", false), new(200, "jbd2/sda1-8", true), new(OwnProcess, "quench", false), new(300, "postgres", false), new(301, "postgres", false), new(400, "a b\u00e4", false),
            WritingProcess.Unknown,
        ];
        WrittenFile[] files = [new(WrittenKind.Metadata, 0), new(WrittenKind.Unknown, 0), .. Enumerable.Range(10, 12).Select(inode => new WrittenFile(WrittenKind.File, (ulong)inode) { Path = $"/file {inode}" })];
        files[^1].Path = null;
        List<WriteEvent> made = [];
        foreach (long at in Enumerable.Range(0, events).Select(_ => random.NextInt64(seconds * TimeSpan.TicksPerSecond) / 100 * 100).Order())
        {
            WriteKind kind = random.Next(10) < 7 ? WriteKind.Write : (WriteKind)random.Next(5);
            long length = kind == WriteKind.Flush ? 0 : random.Next(1, 65) * (random.Next(4) == 0 ? 512L : 4096L);
            long offset = random.NextInt64(random.Next(2) == 0 ? 256 : (VolumeLength - length) / 512) * 512;
            WritingProcess process = processes[random.Next(processes.Length)];
            made.Add(new WriteEvent(
                start + new TimeSpan(at), kind, offset, length, process, process == WritingProcess.Unknown ? WriterEvidence.None : (WriterEvidence)random.Next(3),
                kind == WriteKind.Write ? files[random.Next(files.Length)] : files[1]));
        }

        return new RandomActivity(new ActivitySession(start, "/dev/test", "/mnt", "ext4", VolumeLength, OwnProcess), made, start + TimeSpan.FromSeconds(seconds));
    }

    /// <summary>Plays it, telling every so often how far it is.</summary>
    public void Play(IActivitySink into, WriteLosses losses = default)
    {
        into.Begin(Session);
        DateTimeOffset told = Session.Start;
        foreach (WriteEvent one in Events)
        {
            if (one.At - told > TimeSpan.FromSeconds(1))
            {
                into.Watched(told = one.At, default);
            }

            into.Add(one);
        }

        into.Watched(End, losses);
    }
}
