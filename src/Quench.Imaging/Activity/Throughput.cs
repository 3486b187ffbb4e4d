namespace Quench.Imaging.Activity;

/// <summary>The rate of the last seconds: a ring of samples at least half a second apart. Not thread-safe.</summary>
internal sealed class Throughput
{
    private const int Window = 16;
    private static readonly TimeSpan s_spacing = TimeSpan.FromSeconds(0.5);

    private readonly (TimeSpan At, long Bytes)[] _samples = new (TimeSpan, long)[Window]; // the first is the start: nothing after no time
    private int _count = 1;

    /// <summary>Takes a sample and answers the rate since the oldest one kept.</summary>
    /// <param name="elapsed">Since the start.</param>
    /// <param name="bytes">Done since the start.</param>
    /// <returns>Bytes per second.</returns>
    public double Measure(TimeSpan elapsed, long bytes)
    {
        (TimeSpan at, long before) = _samples[_count < Window ? 0 : _count % Window];
        double seconds = (elapsed - at).TotalSeconds;
        if (elapsed - _samples[(_count - 1) % Window].At >= s_spacing)
        {
            _samples[_count % Window] = (elapsed, bytes);
            _count++;
        }

        return seconds > 0 ? (bytes - before) / seconds : 0;
    }
}
