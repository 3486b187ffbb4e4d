using System.Diagnostics;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>Transactions with numbers, in several lanes at once, each with the moment when it began and the moment when it was acknowledged.</summary>
internal sealed class LedgerLoad : IAsyncDisposable
{
    private const int Lanes = 3;

    private readonly string _name;
    private readonly Lane[] _lanes;
    private readonly CancellationTokenSource _end = new();
    private readonly Task[] _running;

    private LedgerLoad(string name, Lane[] lanes)
    {
        _name = name;
        _lanes = lanes;
        _running = [.. lanes.Select(lane => Task.Run(() => lane.RunAsync(_end.Token)))];
    }

    internal static async Task<LedgerLoad> StartAsync(TestServer server)
    {
        Lane[] lanes = new Lane[Lanes];
        for (int i = 0; i < Lanes; i++)
        {
            lanes[i] = new Lane(i, await server.ConnectAsync());
        }

        return new LedgerLoad(Path.GetFileName(server.Data), lanes);
    }

    /// <summary>Until each lane has so many more.</summary>
    internal async Task MoreAsync(int count)
    {
        long[] goals = [.. _lanes.Select(lane => lane.Acknowledged + count)];
        await Wait.UntilAsync(
            () => _running.Any(lane => lane.IsFaulted) || _lanes.Zip(goals).All(pair => pair.First.Acknowledged >= pair.Second), TestServer.Limit, $"{count} more transactions in each lane of {_name}");
        foreach (Task failed in _running.Where(lane => lane.IsFaulted))
        {
            await failed;
        }
    }

    /// <summary>Ends the load; fails if a transaction failed.</summary>
    internal async Task StopAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_running);
    }

    /// <summary>Demands what was acknowledged before the instant, nothing that began after it, and no gap.</summary>
    /// <param name="found">What is in the copy.</param>
    /// <param name="before">The instant is not earlier than this. (Stopwatch ticks)</param>
    /// <param name="after">Nor later than this.</param>
    internal string Demand(IReadOnlyList<(int Lane, long Number)> found, long before, long after)
    {
        int open = 0;
        foreach (Lane lane in _lanes)
        {
            long[] numbers = [.. found.Where(entry => entry.Lane == lane.Number).Select(entry => entry.Number).Order()];
            Assert.Equal(Enumerable.Range(1, numbers.Length).Select(number => (long)number), numbers); // in one lane each waits for the one before
            (int promised, int possible) = lane.Bounds(before, after);
            Assert.True(numbers.Length >= promised, $"lane {lane.Number}: {promised} were acknowledged before the instant, {numbers.Length} are in the copy");
            Assert.True(numbers.Length <= possible, $"lane {lane.Number}: {possible} had begun before the end of the instant, {numbers.Length} are in the copy");
            open += possible - promised;
        }

        return $"{found.Count} transactions, {open} of them between begin and acknowledgement at the instant";
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await Task.WhenAll(_running).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default); // a failure was the test's to see
        _end.Dispose();
    }

    private sealed class Lane(int number, ILane connection)
    {
        private readonly Lock _gate = new(); // guards the two below
        private readonly List<long> _began = [];
        private readonly List<long> _acknowledged = [];

        internal int Number => number;

        internal long Acknowledged
        {
            get
            {
                lock (_gate)
                {
                    return _acknowledged.Count;
                }
            }
        }

        internal async Task RunAsync(CancellationToken end)
        {
            using (connection)
            {
                for (long next = 1; !end.IsCancellationRequested; next++)
                {
                    Note(_began);
                    await connection.CommitAsync(number, next);
                    Note(_acknowledged);
                }
            }
        }

        internal (int Promised, int Possible) Bounds(long before, long after)
        {
            lock (_gate)
            {
                return (_acknowledged.Count(moment => moment < before), _began.Count(moment => moment <= after));
            }
        }

        private void Note(List<long> moments)
        {
            lock (_gate)
            {
                moments.Add(Stopwatch.GetTimestamp());
            }
        }
    }
}
