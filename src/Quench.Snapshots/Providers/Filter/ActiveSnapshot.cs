using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots.Engine;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>A snapshot in the worker: the engine's books and the bytes they speak of.</summary>
internal sealed class ActiveSnapshot : IDisposable
{
    private const int HighMarkPercent = 75;

    private ActiveSnapshot(SnapshotState state, DiffAreaStore store, Generation? generation)
    {
        State = state;
        Store = store;
        Generation = generation;
    }

    internal SnapshotState State { get; }

    internal DiffAreaStore Store { get; }

    /// <summary>Receives the writes after the instant; null when changes are not tracked.</summary>
    internal Generation? Generation { get; }

    /// <summary>Takes memory and opens the spill file; all that takes time happens here, before anything is frozen.</summary>
    /// <exception cref="QuenchException">SNAP-105, SNAP-106: the cap holds not even a block; the spill file can't be made.</exception>
    internal static ActiveSnapshot Prepare(FilterVolume volume, ControlRequest request)
    {
        int blockSize = volume.BlockSize;
        long cap = request.CapBytes / blockSize;
        long ram = Math.Min(request.MemoryBytes / blockSize, cap);
        long spill = request.SpillFolder is null ? 0 : cap - ram;
        if (ram + spill <= 0)
        {
            throw new QuenchException(
                "SNAP-105", $"a diff area of {ByteSize.Format(request.CapBytes)} holds not even one block of {ByteSize.Format(blockSize)}", "give it more room with --diff-area-size")
            {
                ExitCode = 2,
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }

        DiffAreaLimits limits = new(ram, spill, HighMarkPercent);
        try
        {
            DiffAreaStore store = new(limits, blockSize, spill > 0 ? request.SpillFolder : null);
            return new ActiveSnapshot(SnapshotState.Prepare(volume.Length, blockSize, limits, OverflowPolicy.BreakSnapshot), store, volume.Tracking.Tracker?.NewGeneration());
        }
        catch (LinuxErrorException failure)
        {
            throw new QuenchException("SNAP-106", $"the diff area can't be made: {failure.Message}", "choose another folder with --diff-area, or less memory with --diff-area-memory", failure)
            {
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Store.Dispose();
}
