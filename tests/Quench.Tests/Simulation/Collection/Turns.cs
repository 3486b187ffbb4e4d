using System.Threading.Channels;

namespace Quench.Tests.Simulation.Collection;

/// <summary>The process was killed: what it calls from now on does nothing.</summary>
internal sealed class KilledException() : IOException("killed");

/// <summary>Somebody who works on a store: a process. What it does next waits for its turn.</summary>
internal sealed class Worker(string name)
{
    internal string Name { get; } = name;

    /// <summary>Calls that wait for their turn.</summary>
    internal List<(TaskCompletionSource Turn, string What)> Parked { get; } = [];

    /// <summary>The step at which it is killed; it may have ended before.</summary>
    internal int KilledAt { get; init; } = int.MaxValue;

    /// <summary>The step at which it falls asleep, and that at which it wakes.</summary>
    internal (int From, int To) Asleep { get; init; } = (int.MaxValue, 0);

    internal int Steps { get; set; }

    internal bool IsKilled { get; set; }

    internal bool HasEnded { get; set; }
}

/// <summary>
/// Lets several workers use one store, one call at a time, in an order that a seed decides. When all of them wait for their turn, one is chosen.
/// </summary>
internal sealed class Turns(Random random)
{
    private readonly Lock _gate = new(); // guards the workers' lists and flags
    private readonly Channel<bool> _changed = Channel.CreateUnbounded<bool>(); // somebody waits for a turn, or has ended
    private readonly List<Worker> _workers = [];
    private int _step;

    /// <summary>What was done, in order.</summary>
    internal List<string> Story { get; } = [];

    /// <summary>Waits for a worker's turn.</summary>
    /// <exception cref="KilledException">It has been killed.</exception>
    internal Task WaitAsync(Worker worker, string what)
    {
        lock (_gate)
        {
            if (worker.IsKilled)
            {
                throw new KilledException();
            }

            if (!_workers.Contains(worker))
            {
                return Task.CompletedTask; // before it all begins
            }

            TaskCompletionSource turn = new(TaskCreationOptions.RunContinuationsAsynchronously);
            worker.Parked.Add((turn, what));
            _changed.Writer.TryWrite(true);
            return turn.Task;
        }
    }

    /// <summary>Runs workers to their ends.</summary>
    internal async Task RunAsync(IReadOnlyList<(Worker Worker, Func<Task> Work)> work)
    {
        _workers.AddRange(work.Select(pair => pair.Worker));
        Task all = Task.WhenAll(work.Select(pair => RunOneAsync(pair.Worker, pair.Work)));
        while (true)
        {
            await SettleAsync();
            if (_workers.TrueForAll(worker => worker.HasEnded))
            {
                break;
            }

            Choose();
        }

        await all;
        _workers.Clear();
    }

    private async Task RunOneAsync(Worker worker, Func<Task> work)
    {
        try
        {
            await Task.Run(work);
        }
        catch (KilledException)
        {
            // as was meant
        }
        finally
        {
            lock (_gate)
            {
                worker.HasEnded = true;
                _changed.Writer.TryWrite(true);
            }
        }
    }

    /// <summary>Waits until everybody waits.</summary>
    private async Task SettleAsync()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_workers.TrueForAll(worker => worker.HasEnded || worker.Parked.Count > 0))
                {
                    return;
                }
            }

            await _changed.Reader.ReadAsync();
        }
    }

    private void Choose()
    {
        lock (_gate)
        {
            List<Worker> able = [.. _workers.Where(worker => !worker.HasEnded && worker.Parked.Count > 0)];
            List<Worker> awake = [.. able.Where(worker => worker.Steps != worker.Asleep.From || _step >= worker.Asleep.To)];
            Worker chosen = awake.Count > 0 ? awake[random.Next(awake.Count)] : able[random.Next(able.Count)];
            _step++;
            if (++chosen.Steps >= chosen.KilledAt)
            {
                chosen.IsKilled = true;
                Story.Add($"{chosen.Name} is killed at {chosen.Parked[0].What}");
                foreach ((TaskCompletionSource parked, _) in chosen.Parked)
                {
                    parked.SetException(new KilledException());
                }

                chosen.Parked.Clear();
                return;
            }

            int call = random.Next(chosen.Parked.Count);
            (TaskCompletionSource turn, string what) = chosen.Parked[call];
            chosen.Parked.RemoveAt(call);
            Story.Add($"{chosen.Name}: {what}");
            turn.SetResult();
        }
    }
}
