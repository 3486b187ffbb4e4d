using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Xunit;

namespace Quench.Tests.Simulation;

/// <summary>
/// The engine in a simulated world, against a model that copies the whole disk at the instant.
/// <c>QUENCH_SEEDS=1..1000</c> runs a range, <c>QUENCH_OPERATIONS=500</c> sets the writes of each seed, <c>QUENCH_SEED=17</c> replays one
/// with a trace.
/// </summary>
public sealed class SnapshotSimulationTests(ITestOutputHelper output)
{
    private const long DefaultOperations = 100;

    [Fact]
    public void A_snapshot_shows_its_instant_whatever_goes_on_around_it()
    {
        (long first, long last) = Seeds();
        string? wanted = Environment.GetEnvironmentVariable("QUENCH_OPERATIONS");
        long operations = wanted is { Length: > 0 } ? long.Parse(wanted, CultureInfo.InvariantCulture) : DefaultOperations;
        Action<string>? trace = first == last ? output.WriteLine : null;
        Stopwatch watch = Stopwatch.StartNew();
        Tally total = RunAll(first, last, operations, trace);
        double seconds = watch.Elapsed.TotalSeconds;
        output.WriteLine($"seeds {first}..{last}, {operations} operations each, {seconds:F1} s");
        output.WriteLine($"{total.BlockOperations / seconds / 1e6:F2} million block operations a second");
        output.WriteLine(total.ToString());
        if (last - first >= 999)
        {
            Assert.Empty(total.Missing()); // a simulation that never goes there proves nothing about it
        }
    }

    [Fact]
    public void A_seed_always_tells_the_same_story()
    {
        for (long seed = 1; seed <= 20; seed++)
        {
            Assert.Equal(Tell(seed), Tell(seed));
        }
    }

    [Theory]
    [InlineData(nameof(Mutation.WriteBeforeCopy))]
    [InlineData(nameof(Mutation.SavedBeforeCopyIsComplete))]
    [InlineData(nameof(Mutation.LastBlockNotSaved))]
    [InlineData(nameof(Mutation.OverlapNotAwaited))]
    [InlineData(nameof(Mutation.ReaderDoesNotRecheck))]
    [InlineData(nameof(Mutation.SlotFreedWhileNeeded))]
    [InlineData(nameof(Mutation.ActivationWithoutDrain))]
    [InlineData(nameof(Mutation.SlotMemoryFreedAtEnd))]
    [InlineData(nameof(Mutation.ReleasedBeforeRead))]
    [InlineData(nameof(Mutation.WakeForgotten))]
    public void A_mistake_is_caught_within_fifty_seeds(string mistake)
    {
        Mutation mutation = Enum.Parse<Mutation>(mistake);
        for (long seed = 1; seed <= 50; seed++)
        {
            World world = World.From(seed, DefaultOperations, mutation);
            if (Record.Exception(world.Run) is { } caught)
            {
                output.WriteLine($"{mistake} caught at seed {seed}: {caught.Message}");
                return;
            }
        }

        Assert.Fail($"{mistake} went unnoticed for fifty seeds");
    }

    private static string Tell(long seed)
    {
        List<string> story = [];
        World.From(seed, DefaultOperations, Mutation.None, story.Add).Run();
        return string.Join('\n', story);
    }

    private static Tally RunAll(long first, long last, long operations, Action<string>? trace)
    {
        Tally total = new();
        Lock gate = new(); // guards total
        ParallelOptions lanes = new() { MaxDegreeOfParallelism = Math.Min(2, Environment.ProcessorCount) };
        ConcurrentQueue<SimulationException> failures = [];
        _ = Parallel.For(first, last + 1, lanes, (seed, loop) =>
        {
            World world = World.From(seed, operations, Mutation.None, trace);
            if (Record.Exception(world.Run) is { } failure)
            {
                failures.Enqueue((SimulationException)failure);
                loop.Stop();
            }

            lock (gate)
            {
                total.Add(world.Tally);
            }
        });
        Assert.True(failures.IsEmpty, string.Join('\n', failures.Select(failure => failure.ToString())));
        return total;
    }

    private static (long First, long Last) Seeds()
    {
        if (Environment.GetEnvironmentVariable("QUENCH_SEED") is { Length: > 0 } one)
        {
            long seed = long.Parse(one, CultureInfo.InvariantCulture);
            return (seed, seed);
        }

        string[] ends = (Environment.GetEnvironmentVariable("QUENCH_SEEDS") ?? "1..2000").Split("..");
        long first = long.Parse(ends[0], CultureInfo.InvariantCulture);
        return (first, ends.Length > 1 ? long.Parse(ends[1], CultureInfo.InvariantCulture) : first);
    }
}
