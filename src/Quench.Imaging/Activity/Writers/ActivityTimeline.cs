namespace Quench.Imaging.Activity.Writers;

/// <summary>What was written when and where, for plots of any width.</summary>
public sealed class ActivityTimeline
{
    private readonly IReadOnlyList<WatchedSpan> _spans;

    internal ActivityTimeline(IReadOnlyList<WatchedSpan> spans) => _spans = spans;

    /// <summary>When the first watch began.</summary>
    public DateTimeOffset Start => _spans[0].Start;

    /// <summary>When the last one ended.</summary>
    public DateTimeOffset End => _spans[^1].End;

    /// <summary>Cuts the time into columns of the same length. A second that lies in two goes to the first.</summary>
    public IReadOnlyList<TimelineColumn> Cut(int columns)
    {
        TimelineColumn[] cut = new TimelineColumn[columns];
        foreach (WatchedSpan span in _spans)
        {
            for (int second = 0; second < Math.Max(1, span.Seconds); second++)
            {
                WatchedSpan.Second had = second < span.BySecond.Length ? span.BySecond[second] : default;
                ref TimelineColumn column = ref cut[ColumnOf(span.Start + TimeSpan.FromSeconds(second), columns)];
                column = new TimelineColumn(true, column.Writes + had.Writes, column.SystemBytes + had.SystemBytes, column.OtherBytes + had.Bytes - had.SystemBytes);
            }
        }

        return cut;
    }

    /// <summary>Bytes by column of time and part of the volume (<see cref="ActivityTally.Places"/> of them); never finer than a minute.</summary>
    public long[][] CutPlaces(int columns)
    {
        long[][] cut = [.. Enumerable.Range(0, columns).Select(_ => new long[ActivityTally.Places])];
        foreach (WatchedSpan span in _spans)
        {
            for (int minute = 0; minute < span.ByPlace.Count; minute++)
            {
                long[] column = cut[ColumnOf(span.Start + TimeSpan.FromMinutes(minute), columns)];
                for (int place = 0; place < column.Length; place++)
                {
                    column[place] += span.ByPlace[minute][place];
                }
            }
        }

        return cut;
    }

    private int ColumnOf(DateTimeOffset at, int columns)
    {
        double part = (at - Start).Ticks / (double)Math.Max(1, (End - Start).Ticks);
        return Math.Clamp((int)(part * columns), 0, columns - 1);
    }
}

/// <summary>A part of the time.</summary>
/// <param name="IsWatched">Whether any of it was watched.</param>
/// <param name="Writes">Writes in it.</param>
/// <param name="SystemBytes">Bytes of the system, of the watch itself, and of nobody who is known.</param>
/// <param name="OtherBytes">Bytes of applications.</param>
public readonly record struct TimelineColumn(bool IsWatched, long Writes, long SystemBytes, long OtherBytes)
{
    /// <summary>All bytes.</summary>
    public long Bytes => SystemBytes + OtherBytes;
}
