using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>
/// One write, zeroing or discard on its way through the engine. Lent by <see cref="CopyBeforeWrite.BeginWrite"/> and taken back, for reuse,
/// by <see cref="CopyBeforeWrite.EndWrite"/>: do not touch it afterwards.
/// </summary>
/// <remarks>
/// What it shows changes only in calls made for this operation, so the shell may read it outside the lock between two of them.
/// </remarks>
internal sealed class WriteOperation
{
    private readonly List<SaveRun> _saves = [];

    /// <summary>The bytes being overwritten.</summary>
    public Extent Range { get; private set; }

    /// <summary>The copies to make, in order of offset; empty unless the last step was <see cref="WriteStep.Save"/>.</summary>
    public IReadOnlyList<SaveRun> Saves => _saves;

    /// <summary>Whose diff area the copies go to; null unless the last step was <see cref="WriteStep.Save"/>.</summary>
    public SnapshotState? Snapshot { get; private set; }

    /// <summary>What it waits for; <see cref="WaitReason.None"/> unless the last step was <see cref="WriteStep.Wait"/>.</summary>
    public WaitReason WaitsFor { get; private set; }

    internal WritePhase Phase { get; private set; }

    /// <summary>No block of the range before it needs saving.</summary>
    internal long FirstBlock { get; set; }

    internal long EndBlock { get; private set; }

    /// <summary>Whether it was found once that the diff area has room for all of it: asked only at the first save.</summary>
    internal bool HasRoom { get; set; }

    internal void Begin(Extent range, int blockSize)
    {
        Range = range;
        FirstBlock = range.Offset / blockSize;
        EndBlock = range.IsEmpty ? FirstBlock : ((range.End - 1) / blockSize) + 1;
        HasRoom = false;
        Phase = WritePhase.Outside;
    }

    internal void Admit() => Phase = WritePhase.Deciding;

    internal void AddSave(SaveRun run) => _saves.Add(run);

    internal WriteStep Wait(WaitReason reason)
    {
        WaitsFor = reason;
        return WriteStep.Wait;
    }

    internal WriteStep Save(SnapshotState snapshot)
    {
        Snapshot = snapshot;
        WaitsFor = WaitReason.None;
        Phase = WritePhase.Saving;
        return WriteStep.Save;
    }

    internal WriteStep Land()
    {
        WaitsFor = WaitReason.None;
        Phase = WritePhase.Landing;
        return WriteStep.Land;
    }

    internal void Saved()
    {
        _saves.Clear();
        Snapshot = null;
        Phase = WritePhase.Deciding;
    }

    internal void End()
    {
        WaitsFor = WaitReason.None;
        Phase = WritePhase.Idle;
    }
}

/// <summary>Where a write is. The table is in the room's README.</summary>
internal enum WritePhase
{
    /// <summary>Not in use.</summary>
    Idle,

    /// <summary>Announced, not yet through the gate: not counted as in flight.</summary>
    Outside,

    /// <summary>In flight; the next call of Next decides.</summary>
    Deciding,

    /// <summary>In flight; the shell is copying old blocks.</summary>
    Saving,

    /// <summary>In flight; the shell is writing to the origin.</summary>
    Landing,
}
