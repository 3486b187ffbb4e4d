using Quench.Snapshots.Writes;

namespace Quench.Imaging.Activity.Writers;

/// <summary>Runs a watch: hands what it hears to its sinks until its time is over.</summary>
public static class WriteCollector
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100); // at 100,000 writes a second, 10 % of the ring
    private static readonly TimeSpan s_account = TimeSpan.FromSeconds(1);

    /// <summary>Watches until the time is over or it is cancelled, which is an end like the other: nothing is thrown for it.</summary>
    /// <param name="watch">What hears.</param>
    /// <param name="duration">How long; null for no end.</param>
    /// <param name="sinks">Each gets everything.</param>
    /// <param name="clock">Times it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task RunAsync(WriteWatch watch, TimeSpan? duration, IReadOnlyList<IActivitySink> sinks, TimeProvider clock, CancellationToken cancellationToken)
    {
        DateTimeOffset start = clock.GetUtcNow();
        long began = clock.GetTimestamp();
        ActivitySession session = new(start, watch.Volume.Device, watch.Volume.MountPoint, watch.Volume.FileSystem, watch.Volume.Length, Environment.ProcessId);
        Each(sink => sink.Begin(session));
        List<WriteEvent> heard = [];
        TimeSpan accounted = TimeSpan.Zero;
        using PeriodicTimer look = new(s_look, clock);
        bool goesOn = true;
        while (goesOn)
        {
            goesOn = await WaitAsync(look, cancellationToken) && (duration is not { } whole || clock.GetElapsedTime(began) < whole);
            watch.Take(heard);
            foreach (IActivitySink sink in sinks)
            {
                foreach (WriteEvent one in heard)
                {
                    sink.Add(one);
                }
            }

            heard.Clear();
            TimeSpan elapsed = clock.GetElapsedTime(began);
            if (!goesOn || elapsed - accounted >= s_account)
            {
                accounted = elapsed;
                WriteLosses losses = watch.Losses;
                Each(sink => sink.Watched(start + elapsed, losses));
            }
        }

        void Each(Action<IActivitySink> act)
        {
            foreach (IActivitySink sink in sinks)
            {
                act(sink);
            }
        }
    }

    private static async Task<bool> WaitAsync(PeriodicTimer look, CancellationToken cancellationToken)
    {
        try
        {
            return await look.WaitForNextTickAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
