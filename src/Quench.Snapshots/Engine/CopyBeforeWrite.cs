using System.Numerics;
using Quench.Blocks;

namespace Quench.Snapshots.Engine;

/// <summary>
/// Decides what must happen before a write may land on a volume, so that a snapshot goes on showing the volume at its instant.
/// Values in, decisions out: it does no I/O, knows no time, starts no thread. The caller, called the shell, holds one lock around every call,
/// and does what is decided outside that lock.
/// </summary>
/// <remarks>
/// <para>The rule: a write that touches a promised block whose old bytes are only on the origin saves them first. Saved means: the copy is complete,
/// and reported so by <see cref="CompleteSave"/>.</para>
/// <para>No write ever waits for a reader. A reader takes bytes from the origin without a hold and asks afterwards whether they had moved
/// (<see cref="RecheckRead"/>). Why that is right is in docs/decisions/0003-readers-recheck.md.</para>
/// <para>Writes wait for three things only, each of which ends by itself: an activation that drains the writes before it, a save by another
/// write of a block they share, and, under <see cref="OverflowPolicy.HoldWriter"/>, room in the diff area.</para>
/// </remarks>
internal sealed class CopyBeforeWrite
{
    private readonly Stack<WriteOperation> _idleWrites = new();
    private readonly Stack<ReadPlan> _idleReads = new();
    private SnapshotState? _snapshot; // the active snapshot, sound or broken
    private SnapshotState? _pending;  // not null: the gate is closing; no write is admitted until it is active or cancelled

    /// <summary>An engine for a volume without a snapshot.</summary>
    /// <param name="volumeLength">Bytes; positive. The last block may be cut short.</param>
    /// <param name="blockSize">Bytes that are saved together: a power of two of at least 512; 4096 is the default of the house.</param>
    public CopyBeforeWrite(long volumeLength, int blockSize)
    {
        CheckGeometry(volumeLength, blockSize);
        VolumeLength = volumeLength;
        BlockSize = blockSize;
    }

    /// <summary>Bytes of the volume.</summary>
    public long VolumeLength { get; }

    /// <summary>Bytes that are saved together.</summary>
    public int BlockSize { get; }

    /// <summary>The active snapshot, broken or not; null when there is none.</summary>
    public SnapshotState? Snapshot => _snapshot;

    /// <summary>Whether an activation has begun and neither finished nor been cancelled.</summary>
    public bool IsActivating => _pending is not null;

    /// <summary>How many writes are in flight: admitted and not ended.</summary>
    public int WritesInFlight { get; private set; }

    /// <summary>
    /// Grows in every call after which a waiting write may go on, or a draining activation may finish. The shell compares it with the value it saw last,
    /// in the same hold of the lock, and wakes its waiters when it has grown. A wake too many is harmless: the waiter asks again.
    /// </summary>
    public long WakeVersion { get; private set; }

    /// <summary>Announces a write, a zeroing or a discard. Takes no time and allocates nothing in steady state.</summary>
    /// <param name="range">The bytes being overwritten; within the volume. Need not be aligned.</param>
    /// <returns>Lent until <see cref="EndWrite"/>, which must be called whatever happens.</returns>
    public WriteOperation BeginWrite(Extent range)
    {
        CheckRange(range);
        WriteOperation write = _idleWrites.TryPop(out WriteOperation? idle) ? idle : new WriteOperation();
        write.Begin(range, BlockSize);
        return write;
    }

    /// <summary>The next step of a write. Call it first after <see cref="BeginWrite"/>, then after each wait and each completed save, until it says land.</summary>
    public WriteStep Next(WriteOperation write)
    {
        if (write.Phase == WritePhase.Outside)
        {
            if (_pending is not null)
            {
                return write.Wait(WaitReason.Activation);
            }

            write.Admit();
            WritesInFlight++;
        }

        Require(write.Phase == WritePhase.Deciding, "the write is not at a point where it may ask for its next step");
        if (_snapshot is null)
        {
            return write.Land();
        }

        bool wasSound = _snapshot.Broken is null;
        WriteStep step = _snapshot.Decide(write);
        if (wasSound && _snapshot.Broken is not null)
        {
            WakeVersion++;
        }

        return step;
    }

    /// <summary>
    /// The copies that the last <see cref="WriteStep.Save"/> asked for are all in their slots, or cannot be. Failure breaks the snapshot,
    /// never the write. Must be called before anything else for this write, also when the write is being given up.
    /// </summary>
    public void CompleteSave(WriteOperation write, SaveOutcome outcome)
    {
        Require(write.Phase == WritePhase.Saving, "the write has no save to complete");
        write.Snapshot!.CompleteSave(write, outcome);
        write.Saved();
        WakeVersion++;
    }

    /// <summary>The write has landed, failed, or been given up while waiting. Takes the operation back.</summary>
    public void EndWrite(WriteOperation write)
    {
        Require(write.Phase is not (WritePhase.Idle or WritePhase.Saving), "the write has ended already, or a save of it is not completed");
        if (write.Phase != WritePhase.Outside)
        {
            WritesInFlight--;
            WakeVersion += _pending is not null && WritesInFlight == 0 ? 1 : 0;
        }

        write.End();
        _idleWrites.Push(write);
    }

    /// <summary>
    /// Closes the gate: writes already in flight go on, new ones wait. The instant is the moment when <see cref="TryFinishActivation"/> answers true.
    /// Costs the same whatever the volume's size.
    /// </summary>
    /// <param name="prepared">From <see cref="SnapshotState.Prepare"/>, for this geometry, never used before.</param>
    /// <exception cref="InvalidOperationException">There is a snapshot already, or another activation is under way.</exception>
    public void BeginActivation(SnapshotState prepared)
    {
        Require(_snapshot is null && _pending is null, "the volume has a snapshot already; end it first");
        Require(!prepared.WasActivated && !prepared.IsEnded, "the snapshot state has been used before");
        _pending = Own(prepared);
        prepared.WasActivated = true;
    }

    /// <summary>Takes the snapshot if no write is in flight any more, and opens the gate. False: wait until <see cref="WakeVersion"/> grows, and try again.</summary>
    public bool TryFinishActivation()
    {
        Require(_pending is not null, "no activation is under way");
        if (WritesInFlight > 0)
        {
            return false;
        }

        _snapshot = _pending;
        _pending = null;
        WakeVersion++;
        return true;
    }

    /// <summary>Opens the gate without a snapshot; its prepared state is used up. Does nothing when no activation is under way.</summary>
    public void CancelActivation()
    {
        _pending?.End();
        _pending = null;
        WakeVersion++;
    }

    /// <summary>
    /// Says that the blocks wholly within a range were not in use at the instant: they read as zeros from now on, and their slots are freed.
    /// Costs a word for each 64 blocks of the range and a step for each saved one, so the caller shrinks the promise in pieces (64 MiB, say)
    /// and lets go of the lock between two. A promise half shrunk is a true one.
    /// </summary>
    /// <returns>How many blocks had been promised. 0 when the snapshot is broken or ended.</returns>
    public long DropUnused(SnapshotState snapshot, Extent range)
    {
        CheckRange(range);
        (long first, long end) = Inside(range);
        WakeVersion++;
        return Own(snapshot).Drop(first, end);
    }

    /// <summary>
    /// Says that the blocks wholly within a range are imaged: they are not protected any more, their slots are freed, and reading them again is an error.
    /// Imaging an extent that does not end on a block's border releases the block with the extent that completes it, if that covers it whole.
    /// </summary>
    /// <returns>How many blocks had been promised. 0 when the snapshot is broken or ended.</returns>
    public long Release(SnapshotState snapshot, Extent range)
    {
        CheckRange(range);
        (long first, long end) = Inside(range);
        WakeVersion++;
        return Own(snapshot).Release(first, end);
    }

    /// <summary>
    /// Begins a read of a snapshot. The shell reads the segments into its buffer, calls <see cref="RecheckRead"/>, and goes round until the status is no
    /// longer <see cref="ReadStatus.Reading"/>; at most three rounds, because a block only ever moves from the origin to a slot to nowhere.
    /// </summary>
    /// <param name="snapshot">The snapshot; broken and ended ones answer a plan that has failed.</param>
    /// <param name="range">Within the volume; need not be aligned.</param>
    /// <returns>Lent until <see cref="EndRead"/>, which must be called whatever happens, though no write waits for it.</returns>
    public ReadPlan BeginRead(SnapshotState snapshot, Extent range)
    {
        CheckRange(range);
        SnapshotState own = Own(snapshot);
        ReadPlan plan = _idleReads.TryPop(out ReadPlan? idle) ? idle : new ReadPlan();
        own.BeginRead(plan, range);
        return plan;
    }

    /// <summary>After the segments were read: keeps what is proved to be old and plans the rest again. Look at the plan's status.</summary>
    public ReadStatus RecheckRead(ReadPlan plan)
    {
        Require(plan.Status == ReadStatus.Reading, "the read is not under way");
        Own(plan.Snapshot!).RecheckRead(plan);
        return plan.Status;
    }

    /// <summary>Ends a read, finished or given up, and takes the plan back.</summary>
    public void EndRead(ReadPlan plan)
    {
        Require(plan.Status != ReadStatus.Idle, "the read has ended already");
        plan.Snapshot!.EndRead();
        plan.End();
        _idleReads.Push(plan);
    }

    /// <summary>The extents whose old bytes lie in the diff area now, in order of offset: what to image first when it is nearly full.</summary>
    /// <param name="snapshot">The snapshot.</param>
    /// <param name="into">Receives them, as many as fit.</param>
    /// <returns>How many were given; 0 when the snapshot is broken or ended.</returns>
    public int GetSavedExtents(SnapshotState snapshot, Span<Extent> into) => Own(snapshot).GetSaved(into);

    /// <summary>Breaks the active snapshot: held writers go on, reads fail. Does nothing when there is none, or when it is broken already.</summary>
    public void BreakSnapshot(BrokenReason reason)
    {
        _snapshot?.Break(reason);
        WakeVersion++;
    }

    /// <summary>
    /// Lets go of the active snapshot: writes go on at once, reads of it fail from now on. Copies under way for it still report to it;
    /// the shell keeps the memory behind its slots until <see cref="SnapshotState.CanFreeSlots"/>.
    /// </summary>
    /// <returns>The snapshot that ended; null when there was none.</returns>
    public SnapshotState? EndSnapshot()
    {
        SnapshotState? ended = _snapshot;
        _snapshot = null;
        ended?.End();
        WakeVersion++;
        return ended;
    }

    internal static void CheckGeometry(long volumeLength, int blockSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(volumeLength);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockSize, 512);
        if (!BitOperations.IsPow2(blockSize))
        {
            throw new ArgumentException($"{blockSize} is not a power of two", nameof(blockSize));
        }
    }

    /// <summary>The blocks wholly within a range; the last block of the volume counts as whole when the range reaches the volume's end.</summary>
    private (long First, long End) Inside(Extent range)
    {
        long first = (range.Offset + BlockSize - 1) / BlockSize;
        long end = range.End == VolumeLength ? (VolumeLength + BlockSize - 1) / BlockSize : range.End / BlockSize;
        return (first, Math.Max(first, end));
    }

    private SnapshotState Own(SnapshotState snapshot)
    {
        Require(snapshot.VolumeLength == VolumeLength && snapshot.BlockSize == BlockSize, "the snapshot state is for another geometry");
        return snapshot;
    }

    private void CheckRange(Extent range) => ArgumentOutOfRangeException.ThrowIfGreaterThan(range.End, VolumeLength, nameof(range));

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new InvalidOperationException(message);
        }
    }
}
