using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace Quench.Tests.Simulation.Tracking;

/// <summary>
/// The change tracker in a simulated world, against a model that keeps what each point holds. <c>QUENCH_TRACKING_SEEDS=1..100000</c> runs a range,
/// <c>QUENCH_SEED=17</c> replays one.
/// </summary>
public sealed class TrackingSimulationTests(ITestOutputHelper output)
{
    private const int Attachments = 8;
    private const int Steps = 1500;

    [Fact]
    public void An_answer_never_names_less_than_has_changed_whatever_crashes()
    {
        (long first, long last) = Seeds();
        TrackingTally total = new();
        Lock gate = new(); // guards total
        ConcurrentQueue<string> failures = [];
        Stopwatch watch = Stopwatch.StartNew();
        ParallelOptions lanes = new() { MaxDegreeOfParallelism = Math.Min(2, Environment.ProcessorCount) };
        _ = Parallel.For(first, last + 1, lanes, (seed, loop) =>
        {
            TrackingWorld world = TrackingWorld.From(seed, TrackingMutation.None);
            if (Record.Exception(() => world.Run(Attachments, Steps)) is { } failure)
            {
                failures.Enqueue($"QUENCH_SEED={seed}: {failure}");
                loop.Stop();
            }

            lock (gate)
            {
                total.Add(world.Tally);
            }
        });
        output.WriteLine($"seeds {first}..{last}, {watch.Elapsed.TotalSeconds:F1} s: {total}");
        Assert.True(failures.IsEmpty, string.Join('\n', failures));
        if (last - first >= 299)
        {
            Assert.Empty(total.Missing()); // a simulation that never goes there proves nothing about it
        }
    }

    [Theory]
    [InlineData(nameof(TrackingMutation.BitAfterWrite))]
    [InlineData(nameof(TrackingMutation.LookBeforeBit))]
    [InlineData(nameof(TrackingMutation.IntentNotAwaited))]
    [InlineData(nameof(TrackingMutation.IntentNotSynced))]
    [InlineData(nameof(TrackingMutation.ClearBeforeCheckpoint))]
    [InlineData(nameof(TrackingMutation.SwapNotAtomic))]
    [InlineData(nameof(TrackingMutation.RememberWithoutFlush))]
    [InlineData(nameof(TrackingMutation.StampIgnored))]
    public void A_mistake_is_caught_within_a_thousand_seeds(string mistake)
    {
        TrackingMutation mutation = Enum.Parse<TrackingMutation>(mistake);
        for (long seed = 1; seed <= 1000; seed++)
        {
            if (Record.Exception(() => TrackingWorld.From(seed, mutation).Run(Attachments, Steps)) is SimulationException caught)
            {
                output.WriteLine($"{mistake} caught at seed {seed}: {caught.Message}");
                return;
            }
        }

        Assert.Fail($"{mistake} went unnoticed for a thousand seeds");
    }

    private static (long First, long Last) Seeds()
    {
        if (Environment.GetEnvironmentVariable("QUENCH_SEED") is { Length: > 0 } one)
        {
            long seed = long.Parse(one, CultureInfo.InvariantCulture);
            return (seed, seed);
        }

        string[] ends = (Environment.GetEnvironmentVariable("QUENCH_TRACKING_SEEDS") ?? "1..1000").Split("..");
        long first = long.Parse(ends[0], CultureInfo.InvariantCulture);
        return (first, ends.Length > 1 ? long.Parse(ends[1], CultureInfo.InvariantCulture) : first);
    }
}
