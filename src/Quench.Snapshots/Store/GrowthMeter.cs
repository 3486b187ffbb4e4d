namespace Quench.Snapshots.Store;

/// <summary>How fast old blocks pile up: looks back over the last ten minutes, in steps of ten seconds. The caller synchronises.</summary>
internal sealed class GrowthMeter(TimeProvider clock)
{
    private const int Samples = 60;

    private static readonly TimeSpan s_step = TimeSpan.FromSeconds(10);

    private readonly (long Timestamp, long Total)[] _ring = new (long, long)[Samples];
    private int _count;
    private int _last = -1;

    /// <summary>Notes how much there has ever been. Cheap enough for every write.</summary>
    internal void Note(long total)
    {
        long now = clock.GetTimestamp();
        if (_count > 0 && clock.GetElapsedTime(_ring[_last].Timestamp, now) < s_step)
        {
            return;
        }

        _last = (_last + 1) % Samples;
        _ring[_last] = (now, total);
        _count = Math.Min(_count + 1, Samples);
    }

    /// <summary>How many came each second, lately; 0 before there is anything to go by.</summary>
    internal double PerSecond(long total)
    {
        long now = clock.GetTimestamp();
        TimeSpan window = s_step * Samples;
        for (int back = _count - 1; back >= 0; back--)
        {
            (long timestamp, long then) = _ring[(_last - back + Samples) % Samples];
            TimeSpan elapsed = clock.GetElapsedTime(timestamp, now);
            if (elapsed <= window)
            {
                return elapsed > TimeSpan.Zero ? (total - then) / elapsed.TotalSeconds : 0;
            }
        }

        return 0;
    }
}
