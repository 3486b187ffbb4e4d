using Quench.Blocks;
using Quench.Snapshots.Engine;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>A snapshot in the worker: the engine's books, the bytes they speak of, and what it has cost so far.</summary>
internal sealed class ActiveSnapshot
{
    private const int HighMarkPercent = 75;

    private readonly Lock _gate = new(); // guards the six below
    private TimeSpan _longestSaveWait;
    private TimeSpan _longestHold;
    private TimeSpan _longestHandling;
    private TimeSpan _givenBackAfter;
    private bool _isGivenBack;
    private bool _wasHeld;

    private ActiveSnapshot(SnapshotState state, DiffAreaStore store, Generation? generation, TimeSpan holdLimit)
    {
        State = state;
        Store = store;
        Generation = generation;
        HoldLimit = holdLimit;
    }

    internal SnapshotState State { get; }

    internal DiffAreaStore Store { get; }

    /// <summary>Receives the writes after the instant; null when changes are not tracked.</summary>
    internal Generation? Generation { get; }

    /// <summary>How long a writer may be held when the diff area is full and the policy holds writers.</summary>
    internal TimeSpan HoldLimit { get; }

    /// <summary>Whether it is sound.</summary>
    internal SnapshotFate Fate { get; } = new();

    /// <summary>How many writes the volume had announced at the instant.</summary>
    internal long WritesBefore { get; set; }

    /// <summary>Takes memory and opens the spill file; all that takes time happens here, before anything is frozen.</summary>
    /// <exception cref="QuenchException">SNAP-105, SNAP-106: the cap holds not even a block; the spill file can't be made.</exception>
    /// <param name="volume">The volume.</param>
    /// <param name="request">What was asked for.</param>
    /// <param name="report">Told what an operator should know.</param>
    /// <param name="budget">How long a write may wait for the spill file; null for <see cref="SpillSettings.SaveWaitLimit"/>.</param>
    internal static ActiveSnapshot Prepare(FilterVolume volume, ControlRequest request, Action<string> report, TimeSpan? budget = null)
    {
        int blockSize = volume.BlockSize;
        long cap = request.CapBytes / blockSize;
        bool spills = request.SpillFolder is not null && request.CapBytes > request.MemoryBytes;
        long ring = spills ? SpillSettings.RingFor(request.MemoryBytes, blockSize) : 0;
        long ram = Math.Min(Math.Max(0, request.MemoryBytes - ring) / blockSize, cap);
        long spill = spills ? cap - ram : 0;
        if (ram + spill <= 0)
        {
            throw new QuenchException(
                "SNAP-105", $"a diff area of {ByteSize.Format(request.CapBytes)} holds not even one block of {ByteSize.Format(blockSize)}", "give it more room with --diff-area-size")
            {
                ExitCode = 2,
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }

        try
        {
            return Make(volume, request, new DiffAreaLimits(ram, spill, HighMarkPercent), (int)ring, report, budget ?? SpillSettings.SaveWaitLimit);
        }
        catch (IOException failure)
        {
            throw new QuenchException("SNAP-106", $"the diff area can't be made: {failure.Message}", "choose another folder with --diff-area, or less memory with --diff-area-memory", failure)
            {
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }
    }

    /// <summary>Takes in how long a write has waited.</summary>
    internal void Note(in WriteWaits waits)
    {
        if (waits.ForSaves > TimeSpan.Zero || waits.Held > TimeSpan.Zero)
        {
            lock (_gate)
            {
                _longestSaveWait = Longer(_longestSaveWait, waits.ForSaves);
                _longestHold = Longer(_longestHold, waits.Held);
                _wasHeld |= waits.Held > TimeSpan.Zero;
            }
        }
    }

    /// <summary>Gives back memory and spill file. Nobody uses them any more. Does nothing the second time.</summary>
    internal void GiveBack()
    {
        lock (_gate)
        {
            if (!_isGivenBack)
            {
                _isGivenBack = true;
                _longestHandling = Store.Spill?.LongestHandling ?? TimeSpan.Zero;
                Store.Dispose();
                _givenBackAfter = Fate.Ago();
            }
        }
    }

    /// <summary>What it has cost so far.</summary>
    internal SnapshotCosts Costs()
    {
        lock (_gate)
        {
            return new SnapshotCosts(
                _longestSaveWait.TotalMilliseconds,
                _wasHeld ? _longestHold.TotalMilliseconds : null,
                Longer(_longestHandling, _isGivenBack ? TimeSpan.Zero : Store.Spill?.LongestHandling ?? TimeSpan.Zero).TotalMilliseconds,
                _isGivenBack ? _givenBackAfter.TotalMilliseconds : null);
        }
    }

    private static TimeSpan Longer(TimeSpan one, TimeSpan other) => one > other ? one : other;

    private static ActiveSnapshot Make(FilterVolume volume, ControlRequest request, DiffAreaLimits limits, int ringBytes, Action<string> report, TimeSpan budget)
    {
        OverflowPolicy overflow = request.HoldMilliseconds > 0 ? OverflowPolicy.HoldWriter : OverflowPolicy.BreakSnapshot;
        SnapshotState state = SnapshotState.Prepare(volume.Length, volume.BlockSize, limits, overflow);
        ActiveSnapshot? made = null;
        SpillFile? spill = limits.SpillSlots == 0 ? null : new SpillFile(
            SpillOpening.Run(request.SpillFolder!, TimeSpan.FromMilliseconds(request.LimitMilliseconds), volume.Board),
            new SpillSettings { BlockSize = volume.BlockSize, RingBytes = ringBytes, Budget = budget },
            reason => volume.Break(made!, $"an old block could not be kept: {reason}"), // saves begin when it is made
            report,
            volume.Board);
        try
        {
            DiffAreaStore store = new(limits, volume.BlockSize, spill);
            made = new ActiveSnapshot(state, store, volume.Tracking.Tracker?.NewGeneration(), TimeSpan.FromMilliseconds(request.HoldMilliseconds));
            return made;
        }
        catch
        {
            spill?.Dispose();
            throw;
        }
    }
}
