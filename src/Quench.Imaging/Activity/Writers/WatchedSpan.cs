using System.Runtime.InteropServices;
using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>One watch, second by second. Not thread-safe.</summary>
internal sealed class WatchedSpan
{
    private const int SecondsInColumn = 60;

    private readonly ActivitySession _session;
    private readonly List<Second> _seconds = [];
    private readonly List<long[]> _places = []; // for each minute, for each part of the volume: bytes

    /// <summary>A watch that begins.</summary>
    public WatchedSpan(ActivitySession session, ReadOnlySpan<int> windows)
    {
        _session = session;
        Start = session.Start;
        End = session.Start;
        Blocks = new DistinctBlocks(windows);
    }

    public DateTimeOffset Start { get; }

    /// <summary>How far it has been watched.</summary>
    public DateTimeOffset End { get; private set; }

    public TimeSpan Length => End - Start;

    /// <summary>Seconds of it, the last one as a whole.</summary>
    public int Seconds => Math.Max(_seconds.Count, (int)((Length.Ticks + TimeSpan.TicksPerSecond - 1) / TimeSpan.TicksPerSecond));

    public WriteLosses Losses { get; private set; }

    /// <summary>The different blocks that were written.</summary>
    public DistinctBlocks Blocks { get; }

    /// <summary>What each second had; seconds at the end in which nothing was written may be missing.</summary>
    public ReadOnlySpan<Second> BySecond => CollectionsMarshal.AsSpan(_seconds);

    /// <summary>What each minute had, part by part of the volume.</summary>
    public IReadOnlyList<long[]> ByPlace => _places;

    public void Add(in WriteEvent heard, ProcessGroup group)
    {
        int second = (int)Math.Max(0, (heard.At - Start).TotalSeconds);
        while (_seconds.Count <= second)
        {
            _seconds.Add(default);
        }

        CollectionsMarshal.AsSpan(_seconds)[second].Add(heard, group);
        if (heard.Kind is WriteKind.Write or WriteKind.Discard or WriteKind.Zero)
        {
            Blocks.Add(second, heard.Offset, heard.Length);
        }

        if (heard.Kind == WriteKind.Write)
        {
            AddPlace(second / SecondsInColumn, heard.Offset, heard.Length);
        }
    }

    public void Reach(DateTimeOffset until, WriteLosses losses)
    {
        End = until > End ? until : End;
        Losses = losses;
    }

    private void AddPlace(int minute, long offset, long length)
    {
        while (_places.Count <= minute)
        {
            _places.Add(new long[ActivityTally.Places]);
        }

        long part = Math.Max(1, (_session.Length + ActivityTally.Places - 1) / ActivityTally.Places);
        for (long at = offset, end = offset + length; at < end;)
        {
            long place = Math.Min(at / part, ActivityTally.Places - 1);
            long next = place == ActivityTally.Places - 1 ? end : Math.Min(end, (place + 1) * part);
            _places[minute][place] += next - at;
            at = next;
        }
    }

    /// <summary>What one second had.</summary>
    internal struct Second
    {
        public long Writes;
        public long Bytes;
        public long SystemBytes;

        public void Add(in WriteEvent heard, ProcessGroup group)
        {
            if (heard.Kind == WriteKind.Write)
            {
                Writes++;
                Bytes += heard.Length;
                SystemBytes += group == ProcessGroup.Application ? 0 : heard.Length;
            }
        }
    }
}
