using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>
/// Adds up what watches of a volume hear: who wrote how much where, second by second. Its memory grows with the processes, files, different blocks and seconds, not with the events. Not thread-safe.
/// </summary>
public sealed class ActivityTally : IActivitySink
{
    /// <summary>How many parts of the volume the map of places has.</summary>
    public const int Places = 64;

    private readonly int[] _windows;
    private readonly List<WatchedSpan> _spans = [];
    private readonly Dictionary<(string Name, ProcessGroup Group), ProcessTotal> _processes = [];
    private readonly Dictionary<WrittenFile, FileTotal> _files = new(ReferenceEqualityComparer.Instance);
    private readonly KindTotal[] _kinds = [.. Enum.GetValues<WriteKind>().Select(_ => new KindTotal())];
    private ActivitySession? _session;

    /// <summary>Nothing yet.</summary>
    /// <param name="windows">For which lengths of a backup the diff area is to be forecast; fractions of a second are dropped, 0 counts as one second.</param>
    public ActivityTally(params ReadOnlySpan<TimeSpan> windows)
    {
        HashSet<int> seconds = [1];
        foreach (TimeSpan window in windows)
        {
            seconds.Add((int)Math.Clamp((long)window.TotalSeconds, 1, int.MaxValue));
        }

        _windows = [.. seconds.Order()];
    }

    /// <inheritdoc/>
    public void Begin(ActivitySession session)
    {
        _session = session;
        _spans.Add(new WatchedSpan(session, _windows));
    }

    /// <inheritdoc/>
    public void Add(in WriteEvent heard)
    {
        WatchedSpan span = _spans[^1];
        ProcessGroup group = ProcessGroups.Of(heard.Process, _session!.OwnProcess);
        _kinds[(int)heard.Kind].Add(heard.Length);
        span.Add(heard, group);
        if (heard.Kind == WriteKind.Write)
        {
            FileTotal file = FileOf(heard.File);
            ProcessTotal process = ProcessOf(heard.Process, group);
            process.Add(heard);
            file.Add(heard, process.Name);
        }
    }

    /// <inheritdoc/>
    public void Watched(DateTimeOffset until, WriteLosses losses) => _spans[^1].Reach(until, losses);

    /// <summary>What it comes to.</summary>
    /// <param name="zone">For the hours of the day.</param>
    /// <exception cref="InvalidOperationException">Nothing was watched.</exception>
    public ActivitySummary Summarise(TimeZoneInfo zone)
    {
        ActivitySession last = _session ?? throw new InvalidOperationException("nothing was watched");
        return new ActivitySummary
        {
            Session = last,
            Start = _spans[0].Start,
            End = _spans[^1].End,
            Watched = _spans.Aggregate(TimeSpan.Zero, (sum, span) => sum + span.Length),
            Kinds = [.. Enum.GetValues<WriteKind>().Select(kind => new KindSummary(kind, _kinds[(int)kind].Count, _kinds[(int)kind].Bytes))],
            Processes = [.. _processes.Values.OrderByDescending(process => process.Bytes).ThenBy(process => process.Name, StringComparer.Ordinal).Select(process => process.ToSummary())],
            Files = [.. _files.Values.OrderByDescending(file => file.Bytes).ThenBy(file => file.Path, StringComparer.Ordinal).Select(file => file.ToSummary())],
            DistinctBytes = _spans.Sum(span => span.Blocks.Total) * DistinctBlocks.BlockBytes,
            Losses = _spans.Aggregate(default(WriteLosses), (sum, span) => Sum(sum, span.Losses)),
            DiffAreas = [.. _windows.Where(window => window > 1).Select(window => ActivityForecast.DiffArea(_spans, window))],
            Freeze = ActivityForecast.Freeze(_spans),
            Quietest = QuietTimes.Find(_spans, busiest: false),
            Busiest = QuietTimes.Find(_spans, busiest: true),
            Hours = QuietTimes.ByHour(_spans, zone),
            Timeline = new ActivityTimeline(_spans),
        };
    }

    private static WriteLosses Sum(WriteLosses one, WriteLosses two) => new(
        one.Missed + two.Missed, one.Events + two.Events, one.Bytes + two.Bytes, one.Unread + two.Unread, one.Names + two.Names, one.Pages + two.Pages, one.ApproximateBytes + two.ApproximateBytes);

    private ProcessTotal ProcessOf(WritingProcess process, ProcessGroup group)
    {
        string name = group == ProcessGroup.Unknown ? "" : process.Name;
        if (!_processes.TryGetValue((name, group), out ProcessTotal? total))
        {
            total = new ProcessTotal(name, group, process.IsKernel);
            _processes.Add((name, group), total);
        }

        return total;
    }

    private FileTotal FileOf(WrittenFile file)
    {
        if (!_files.TryGetValue(file, out FileTotal? total))
        {
            total = new FileTotal(file);
            _files.Add(file, total);
        }

        return total;
    }

    private sealed class KindTotal
    {
        public long Count { get; private set; }

        public long Bytes { get; private set; }

        public void Add(long bytes)
        {
            Count++;
            Bytes += bytes;
        }
    }

    private sealed class ProcessTotal(string name, ProcessGroup group, bool isKernel)
    {
        private readonly HashSet<int> _ids = [];
        private readonly HashSet<WrittenFile> _written = new(ReferenceEqualityComparer.Instance);
        private long _writes;

        public string Name { get; } = name;

        public long Bytes { get; private set; }

        public void Add(in WriteEvent heard)
        {
            _ids.Add(heard.Process.Id);
            _writes++;
            Bytes += heard.Length;
            if (heard.File.Kind == WrittenKind.File)
            {
                _written.Add(heard.File);
            }
        }

        public ProcessSummary ToSummary() => new(Name, group, isKernel, _ids.Count, _writes, Bytes, _written.Count);
    }

    private sealed class FileTotal(WrittenFile file)
    {
        private readonly HashSet<string> _processes = [];
        private long _writes;

        public string Path => file.Path ?? "";

        public long Bytes { get; private set; }

        public void Add(in WriteEvent heard, string process)
        {
            _processes.Add(process);
            _writes++;
            Bytes += heard.Length;
        }

        public FileSummary ToSummary() => new(file, _writes, Bytes, [.. _processes.Order(StringComparer.Ordinal)]);
    }
}
