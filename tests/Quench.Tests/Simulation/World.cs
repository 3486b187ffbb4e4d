using System.Globalization;
using System.Runtime.CompilerServices;

namespace Quench.Tests.Simulation;

/// <summary>
/// A small volume and everybody who works on it at once: writers, the taker of snapshots, imaging, other readers. Who acts next, and how
/// far, comes from
/// one number. <see cref="Run"/> throws as soon as anything is not as it must be.
/// </summary>
internal sealed partial class World
{
    private const int StepsPerOperation = 20_000; // far beyond what any run needs: past it somebody starves

    private readonly List<Actor> _actors = [];
    private readonly Action<string>? _trace;
    private readonly Mutation _mutation;
    private readonly int _checkOneIn;
    private readonly long _stepLimit;
    private long _operationsLeft;
    private long _ticks;

    private World(long seed, long operations, Mutation mutation, Action<string>? trace)
    {
        Seed = seed;
        Dice = new Dice(seed);
        _trace = trace;
        _mutation = mutation;
        _operationsLeft = operations;
        _stepLimit = 100_000 + (operations * StepsPerOperation);
        _checkOneIn = 200;

        int sectorsPerBlock = 1 << Dice.Between(0, 3);
        int blocks = Dice.OneIn(4) ? Dice.Between(65, 512) : Dice.Between(4, 64);
        int sectors = (blocks * sectorsPerBlock) - Dice.Below(sectorsPerBlock); // the last block may be cut short
        BlockSize = sectorsPerBlock * Sector.Size;
        SaveFailsOneIn = Dice.OneIn(4) ? Dice.Between(5, 200) : 0;
        HoldLimit = Dice.Between(500, 20_000);
        HasLateSpills = Dice.OneIn(2);
        CrashOneIn = Dice.OneIn(2) ? Dice.Between(50, 2_000) : 0;
        Shell = new SimulatedShell(this, (long)sectors * Sector.Size, BlockSize, mutation);
        Current = Start("snapshots", TakeSnapshots());
        for (int i = Dice.Between(1, 6); i > 0; i--)
        {
            _ = Start($"writer {i}", WriteOn());
        }
    }

    public long Seed { get; }

    public Dice Dice { get; }

    public Tally Tally { get; } = new() { Seeds = 1 };

    public SimulatedShell Shell { get; }

    public int BlockSize { get; }

    /// <summary>The time: steps, and the waits that nothing but a clock can end.</summary>
    public long Now { get; private set; }

    /// <summary>How long a writer may be held for room in the diff area.</summary>
    public int HoldLimit { get; }

    /// <summary>One in so many saves fails; 0 for none.</summary>
    public int SaveFailsOneIn { get; }

    /// <summary>Whether spill files are written behind the backs of the writers.</summary>
    public bool HasLateSpills { get; }

    /// <summary>One in so many steps of imaging is its last, and another imaging begins; 0 for none.</summary>
    public int CrashOneIn { get; }

    /// <summary>Who is acting.</summary>
    public Actor Current { get; private set; }

    /// <summary>Makes a world.</summary>
    /// <param name="seed">Everything follows from it.</param>
    /// <param name="operations">How many writes, zeroings and discards are done before the world comes to rest.</param>
    /// <param name="mutation">A mistake to make.</param>
    /// <param name="trace">Is told what happens; null for nobody.</param>
    public static World From(long seed, long operations, Mutation mutation = Mutation.None, Action<string>? trace = null) =>
        new(seed, operations, mutation, trace);

    /// <summary>Lives until the writers have done their operations and the last snapshot has ended.</summary>
    public void Run()
    {
        try
        {
            while (_actors.Count > 0)
            {
                Step();
            }

            CheckAtRest();
        }
        catch (Exception trouble)
        {
            string where = $"seed {Seed}, step {Tally.Steps}, {Current.Name}";
            throw new SimulationException($"{where}: {trouble.Message}\n  replay: QUENCH_SEED={Seed}", trouble);
        }
    }

    /// <summary>A number greater than all before: the order of events within one step.</summary>
    public long Tick() => ++_ticks;

    /// <summary>Starts those who write a spill file.</summary>
    public void StartSavers(LateSpill spill)
    {
        _ = Start("saver 1", spill.WriteOn());
        _ = Start("saver 2", spill.WriteOn());
    }

    public bool IsTraced => _trace is not null;

    public void Trace([InterpolatedStringHandlerArgument("")] ref FormattableTrace message) => Trace(message.ToStringAndClear());

    public void Trace(string message) =>
        _trace?.Invoke(string.Create(CultureInfo.InvariantCulture, $"{Tally.Steps,7} {Current?.Name,-11} {message}"));

    private Actor Start(string name, IEnumerable<Pace> story)
    {
        Actor actor = new(name, story.GetEnumerator());
        _actors.Add(actor);
        return actor;
    }

    private void Step()
    {
        Current = Choose();
        Now++;
        if (++Tally.Steps > _stepLimit)
        {
            throw new SimulationException("somebody starves: the world does not come to rest");
        }

        Current.ParkedAt = -1;
        Current.Deadline = long.MaxValue;
        if (!Current.Story.MoveNext())
        {
            Current.Story.Dispose();
            _ = _actors.Remove(Current);
        }
        else if (Current.Story.Current == Pace.Waits)
        {
            Current.ParkedAt = _mutation == Mutation.WakeForgotten ? long.MaxValue - 1 : Shell.Core.WakeVersion;
        }
        else if (Dice.OneIn(100))
        {
            Current.SleepsUntil = Math.Max(Current.SleepsUntil, Now + Dice.Below(500)); // now and then somebody is slow
        }

        if (_mutation == Mutation.None && Shell.Core.Snapshot is { } snapshot && Dice.OneIn(_checkOneIn))
        {
            Books.Check(snapshot, Shell.Saving);
        }

        if (_mutation == Mutation.None && Shell.Waiting.Count > 0 && Dice.OneIn(8))
        {
            Books.CheckWaiters(Shell.Core, Shell.Waiting);
        }
    }

    /// <summary>
    /// Someone who can act. When nobody can, time goes on to the next alarm; when there is none either, the world is stuck.
    /// </summary>
    private Actor Choose()
    {
        int start = Dice.Below(_actors.Count);
        long next = long.MaxValue;
        for (int i = 0; i < _actors.Count; i++)
        {
            Actor actor = _actors[(start + i) % _actors.Count];
            long readyAt = actor.ParkedAt < 0 ? actor.SleepsUntil : Shell.Core.WakeVersion > actor.ParkedAt ? Now : actor.Deadline;
            if (readyAt <= Now)
            {
                return actor;
            }

            next = Math.Min(next, readyAt);
        }

        if (next == long.MaxValue)
        {
            string all = string.Join(", ", _actors.Select(actor => actor.Name));
            throw new SimulationException("stuck: everybody waits, and nobody will wake them: " + all);
        }

        Now = next;
        return Choose();
    }

    private void CheckAtRest()
    {
        Shell.CheckOrigin();
        Require(Shell.Core.WritesInFlight == 0, $"{Shell.Core.WritesInFlight} writes are in flight for ever");
        Require(Shell.Core.Snapshot is null && !Shell.Core.IsActivating, "a snapshot was left behind");
        Require(Shell.Areas == 0, $"the slots of {Shell.Areas} ended snapshots can never be freed");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new SimulationException(message);
        }
    }
}
