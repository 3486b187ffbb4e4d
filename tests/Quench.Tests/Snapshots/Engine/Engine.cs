using Quench.Blocks;
using Quench.Snapshots.Engine;
using Xunit;

namespace Quench.Tests.Snapshots.Engine;

/// <summary>Short words for the rules' tests: an engine over 64 blocks of 4 KiB with a snapshot, and writes driven step by step.</summary>
internal sealed class Engine
{
    public const int BlockSize = 4096;

    private Engine(long length) => Core = new CopyBeforeWrite(length, BlockSize);

    public CopyBeforeWrite Core { get; }

    public SnapshotState Snapshot { get; private set; } = null!;

    public static Engine WithoutSnapshot(long length = 64 * BlockSize) => new(length);

    public static Engine WithSnapshot(
        long ram = 64,
        long spill = 0,
        OverflowPolicy overflow = OverflowPolicy.BreakSnapshot,
        int highMark = 80,
        long length = 64 * BlockSize)
    {
        Engine engine = new(length);
        engine.Snapshot = engine.Prepare(ram, spill, overflow, highMark);
        engine.Core.BeginActivation(engine.Snapshot);
        Assert.True(engine.Core.TryFinishActivation());
        return engine;
    }

    public SnapshotState Prepare(
        long ram = 64, long spill = 0, OverflowPolicy overflow = OverflowPolicy.BreakSnapshot, int highMark = 80) =>
        SnapshotState.Prepare(Core.VolumeLength, BlockSize, new DiffAreaLimits(ram, spill, highMark), overflow);

    /// <summary>The bytes of some blocks.</summary>
    public static Extent Blocks(long first, long count) => new(first * BlockSize, count * BlockSize);

    /// <summary>Begins a write and expects its first step.</summary>
    public WriteOperation Begin(Extent range, WriteStep expected)
    {
        WriteOperation write = Core.BeginWrite(range);
        Assert.Equal(expected, Core.Next(write));
        return write;
    }

    /// <summary>Begins a write of blocks and expects its first step.</summary>
    public WriteOperation Begin(long first, long count, WriteStep expected) => Begin(Blocks(first, count), expected);

    /// <summary>Completes the save of a write, which may then land.</summary>
    public void SaveAndLand(WriteOperation write)
    {
        Core.CompleteSave(write, SaveOutcome.Saved);
        Assert.Equal(WriteStep.Land, Core.Next(write));
        Core.EndWrite(write);
    }

    /// <summary>A write of blocks from beginning to end.</summary>
    public void Write(long first, long count) => SaveAndLand(Begin(first, count, WriteStep.Save));

    /// <summary>What a read would be told now, given up at once.</summary>
    public ReadSegment[] Look(Extent range)
    {
        ReadPlan plan = Core.BeginRead(Snapshot, range);
        ReadSegment[] segments = [.. plan.Segments];
        Core.EndRead(plan);
        return segments;
    }

    /// <summary>How a read of blocks begins.</summary>
    public ReadStatus StatusOf(long first, long count)
    {
        ReadPlan plan = Core.BeginRead(Snapshot, Blocks(first, count));
        ReadStatus status = plan.Status;
        Core.EndRead(plan);
        return status;
    }
}
