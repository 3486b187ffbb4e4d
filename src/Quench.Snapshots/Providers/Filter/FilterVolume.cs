using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Linux;
using Quench.Snapshots.Engine;
using Quench.Snapshots.Providers.Filter.Supervision;
using Quench.Snapshots.Store;
using Quench.Snapshots.Tracking;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// The volume as its users see it: reads go straight to the origin, writes ask the engine first. This is the thin shell around
/// <see cref="CopyBeforeWrite"/>: it holds the one lock, waits, and moves the bytes.
/// </summary>
/// <remarks>Thread-safe. With no snapshot a write costs one uncontended lock and nothing else; nothing is allocated per request.</remarks>
internal sealed class FilterVolume : IFuseFile
{
    private readonly Disk _origin;
    private readonly bool _canZero;
    private readonly WriteTracker? _tracker;
    private readonly KeptSnapshots? _kept;        // every write passes through them after the engine and before the origin
    private readonly Board? _board;               // told of waits on purpose, so that nobody takes them for a hang

    private readonly object _gate = new();        // a monitor, because writers wait on it; guards the seven below
    private readonly CopyBeforeWrite _engine;
    private long _seenWake;                       // the engine's wake version that waiters have been told of
    private ActiveSnapshot? _snapshot;            // what the engine's active or prepared snapshot keeps outside the engine
    private long _writeCount;                     // writes, zeroings and discards that were announced since the start
    private ClosedGate? _closed;                  // the gate is closed, and stays so when the lock is let go of
    private int _quietWatchers;                   // only for them the time is looked at
    private long _lastWriteAt;                    // when a write began or ended, as long as somebody watches

    internal FilterVolume(Disk origin, int blockSize, TrackingStart tracking, KeptSnapshots? kept = null, Board? board = null)
    {
        _kept = kept;
        _origin = origin;
        _board = board;
        Tracking = tracking;
        _tracker = tracking.Tracker;
        _canZero = PassThroughVolume.CanZero(origin);
        _engine = new CopyBeforeWrite(origin.Geometry.Length, blockSize);
    }

    /// <inheritdoc/>
    public long Length => _origin.Geometry.Length;

    /// <inheritdoc/>
    public bool IsWritable => true;

    internal Disk Origin => _origin;

    internal TrackingStart Tracking { get; }

    /// <summary>The worker's signs of life; null where nobody looks.</summary>
    internal Board? Board => _board;

    /// <summary>The persistent snapshots.</summary>
    internal KeptSnapshots Kept => _kept ?? throw new InvalidOperationException("this volume was made without persistent snapshots");

    internal int BlockSize => _engine.BlockSize;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into) => _origin.Read(offset, into);

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        Extent range = new(offset, source.Length);
        WriteOperation write = Admit(ref range);
        try
        {
            _tracker?.BeforeWrite(range); // after the gate: so no write is between its mark and its landing at an instant
            _origin.Write(offset, source);
        }
        finally
        {
            End(write);
        }
    }

    /// <inheritdoc/>
    public void Flush() => _origin.Flush();

    /// <inheritdoc/>
    public void PunchHole(Extent range)
    {
        // A loop device answers both discard and write-zeroes with a hole, and a hole reads as zeros: so must we. Where the origin could only
        // write the zeros out, a discard of the whole disk would take hours: we know no holes then, and the file system does without.
        if (!_canZero)
        {
            throw new LinuxErrorException(Errno.EOPNOTSUPP, "make a hole in", _origin.Path);
        }

        for (long done = 0; done < range.Length;)
        {
            Extent step = Extent.FromTo(range.Offset + done, range.End);
            WriteOperation write = Admit(ref step);
            try
            {
                _tracker?.BeforeWrite(step);
                _origin.Zero(step);
            }
            finally
            {
                End(write);
            }

            done += step.Length;
        }
    }

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => PunchHole(range);

    /// <summary>Closes the gate unless it is closed for this snapshot already, lets the writes in flight land, takes the snapshot, opens the gate.</summary>
    /// <param name="snapshot">Prepared and not used yet, or given to <see cref="CloseGate"/>.</param>
    /// <param name="limit">How long to wait for the writes in flight.</param>
    /// <returns>How long that took.</returns>
    /// <exception cref="QuenchException">SNAP-103: the writes did not land in time; SNAP-164: the closed gate had opened by itself. No snapshot was taken and the gate is open.</exception>
    internal TimeSpan Activate(ActiveSnapshot snapshot, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            if (!TryEndClosing(snapshot))
            {
                BeginActivation(snapshot);
            }

            while (!_engine.TryFinishActivation())
            {
                WaitForLanding(limit, since);
            }

            if (snapshot.Generation is { } generation)
            {
                _tracker!.Advance(generation); // in the same hold of the lock as the engine's instant
            }

            snapshot.WritesBefore = _writeCount;
            _snapshot = snapshot;
            Pulse();
        }

        return Stopwatch.GetElapsedTime(since);
    }

    /// <summary>
    /// Closes the gate and lets the writes in flight land, so that other volumes can have the same instant. <see cref="Activate"/> takes it; without that the gate opens by
    /// <see cref="Deactivate"/> or by itself after the limit, whoever has died.
    /// </summary>
    /// <param name="snapshot">Prepared and not used yet.</param>
    /// <param name="limit">How long to wait for the writes in flight, and then how long writes may be held.</param>
    /// <exception cref="QuenchException">SNAP-103: the writes did not land in time; the gate is open.</exception>
    internal void CloseGate(ActiveSnapshot snapshot, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            BeginActivation(snapshot);
            while (_engine.WritesInFlight > 0)
            {
                WaitForLanding(limit, since);
            }

            _closed = new ClosedGate(snapshot, new Timer(_ => OpenGate(snapshot), null, limit, Timeout.InfiniteTimeSpan));
        }
    }

    /// <summary>Opens the gate without a snapshot, if it is closed for this one.</summary>
    private void OpenGate(ActiveSnapshot snapshot)
    {
        lock (_gate)
        {
            if (TryEndClosing(snapshot))
            {
                _engine.CancelActivation();
                Pulse();
            }
        }
    }

    /// <summary>Whether the gate is closed for this snapshot; from now on that is the caller's affair.</summary>
    private bool TryEndClosing(ActiveSnapshot snapshot)
    {
        if (_closed is not { } closed || closed.For != snapshot)
        {
            return false;
        }

        closed.Limit.Dispose();
        _closed = null;
        return true;
    }

    private void BeginActivation(ActiveSnapshot snapshot)
    {
        if (snapshot.State.WasActivated)
        {
            throw GateLost();
        }

        _engine.BeginActivation(snapshot.State);
    }

    /// <summary>Waits for a write to land; with the lock held. When the time is over the gate is opened.</summary>
    private void WaitForLanding(TimeSpan limit, long since)
    {
        TimeSpan left = limit - Stopwatch.GetElapsedTime(since);
        if (left <= TimeSpan.Zero)
        {
            _engine.CancelActivation();
            Pulse();
            throw DrainTooSlow(limit);
        }

        Monitor.Wait(_gate, left);
    }

    /// <summary>How many writes were announced since the start, those included that wait.</summary>
    internal long WriteCount
    {
        get
        {
            lock (_gate)
            {
                return _writeCount;
            }
        }
    }

    /// <summary>Waits for a pause between writes.</summary>
    /// <param name="period">How long no write may have begun, ended or been under way.</param>
    /// <param name="limit">How long to wait for that.</param>
    /// <returns>How long it has been quiet now; less than the period when the limit came first.</returns>
    internal TimeSpan WaitForQuiet(TimeSpan period, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        using ManualResetEventSlim never = new();
        lock (_gate)
        {
            _quietWatchers++;
            _lastWriteAt = since;
        }

        TimeSpan quiet = TimeSpan.Zero;
        TimeSpan pause;
        do
        {
            pause = Shorter(period - quiet, limit - Stopwatch.GetElapsedTime(since));
            never.Wait(pause > TimeSpan.Zero ? pause + TimeSpan.FromMilliseconds(1) : TimeSpan.Zero);
            lock (_gate)
            {
                quiet = _engine.WritesInFlight > 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_lastWriteAt);
            }
        }
        while (quiet < period && Stopwatch.GetElapsedTime(since) < limit);

        lock (_gate)
        {
            _quietWatchers--;
        }

        return quiet;
    }

    /// <summary>Breaks a snapshot, if it is the active one and sound; production goes on at once.</summary>
    internal void Break(ActiveSnapshot snapshot, string reason)
    {
        lock (_gate)
        {
            if (ReferenceEquals(_snapshot, snapshot))
            {
                _engine.BreakSnapshot(new BrokenReason(BreakCause.SaveFailed, reason));
                Pulse();
            }
        }
    }

    /// <summary>Lets go of a snapshot: writes pay nothing for it any more. Then gives back what it keeps.</summary>
    internal void Deactivate(ActiveSnapshot snapshot)
    {
        OpenGate(snapshot);
        lock (_gate)
        {
            if (ReferenceEquals(_snapshot, snapshot))
            {
                _engine.EndSnapshot();
                _snapshot = null;
            }
            else
            {
                snapshot.State.End();
            }

            Pulse();
        }

        snapshot.Fate.End();
        GiveBack(snapshot);
    }

    /// <summary>
    /// Gives back the memory and the spill file of a snapshot that is broken or has ended, as soon as nobody uses them; nobody can for longer than it takes to copy a
    /// block from the origin, because whoever waits for the spill file is sent away first. Does nothing the second time.
    /// </summary>
    internal void GiveBack(ActiveSnapshot snapshot)
    {
        snapshot.Store.Spill?.Cancel();
        lock (_gate)
        {
            while (!snapshot.State.CanFreeSlots)
            {
                Monitor.Wait(_gate);
            }
        }

        snapshot.GiveBack();
    }

    /// <summary>Runs something with the engine under the lock, and wakes whoever may go on afterwards.</summary>
    internal T WithEngine<T>(Func<CopyBeforeWrite, T> action)
    {
        lock (_gate)
        {
            T result = action(_engine);
            Pulse();
            return result;
        }
    }

    internal ReadPlan BeginRead(SnapshotState snapshot, Extent range)
    {
        lock (_gate)
        {
            return _engine.BeginRead(snapshot, range);
        }
    }

    internal ReadStatus RecheckRead(ReadPlan plan)
    {
        lock (_gate)
        {
            return _engine.RecheckRead(plan);
        }
    }

    internal void EndRead(ReadPlan plan)
    {
        lock (_gate)
        {
            SnapshotState snapshot = plan.Snapshot!;
            _engine.EndRead(plan);
            if (snapshot.CanFreeSlots)
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Takes a write through the gate and through its saves, up to the point where it may land.</summary>
    /// <param name="range">What is to be written; cut to what was let in, when a snapshot would have to wait for more than a write with data ever brings.</param>
    private WriteOperation Admit(ref Extent range)
    {
        WriteOperation write;
        WriteStep step;
        ActiveSnapshot? keeper;
        WriteWaits waits = default;
        lock (_gate)
        {
            CountUnsynchronized(1);
            range = _snapshot is null ? range : new Extent(range.Offset, Math.Min(range.Length, SpillSettings.LongestWrite));
            write = _engine.BeginWrite(range);
            step = NextUnsynchronized(write, ref waits);
            keeper = _snapshot;
        }

        while (step == WriteStep.Save)
        {
            SaveOutcome outcome = Save(write, keeper!, ref waits.ForSaves);
            lock (_gate)
            {
                _engine.CompleteSave(write, outcome);
                Pulse();
                step = NextUnsynchronized(write, ref waits);
                keeper?.Note(waits);
                keeper = _snapshot;
            }
        }

        _kept?.BeginWrite(range);
        return write;
    }

    /// <summary>Asks for the next step, waiting inside the monitor as long as the answer is to wait.</summary>
    private WriteStep NextUnsynchronized(WriteOperation write, ref WriteWaits waits)
    {
        while (true)
        {
            WriteStep step = _engine.Next(write);
            Pulse();
            if (step != WriteStep.Wait)
            {
                return step;
            }

            WaitUnsynchronized(write.WaitsFor, ref waits);
        }
    }

    /// <summary>Waits for what a write waits for, as long as the snapshot's policy and limits let it; past them the snapshot breaks.</summary>
    private void WaitUnsynchronized(WaitReason reason, ref WriteWaits waits)
    {
        if (reason == WaitReason.Activation || _snapshot is not { } keeper)
        {
            Monitor.Wait(_gate);
            return;
        }

        bool isHeld = reason == WaitReason.DiffArea && keeper.State.Overflow == OverflowPolicy.HoldWriter;
        if (isHeld)
        {
            Wait(ref waits.Held, keeper.HoldLimit);
        }
        else
        {
            Wait(ref waits.ForOthers, SpillSettings.SaveWaitLimit);
        }

        keeper.Note(waits);
        if (isHeld && waits.Held >= keeper.HoldLimit)
        {
            string reasonText = $"the diff area is full, and a writer had been held for {keeper.HoldLimit.TotalSeconds:0.###} s";
            _engine.BreakSnapshot(new BrokenReason(BreakCause.HoldLimit, reasonText));
            Pulse();
        }
        else if (!isHeld && waits.ForOthers >= SpillSettings.SaveWaitLimit && keeper.Store.Spill is { IsStalled: true })
        {
            _engine.BreakSnapshot(new BrokenReason(BreakCause.SaveFailed, "a write waited too long for another one's blocks to be saved to a spill file that is too slow"));
            Pulse();
        }
    }

    /// <summary>Waits for a wake, and adds how long that took; when the limit is used up, for a wake alone.</summary>
    private void Wait(ref TimeSpan waited, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        TimeSpan left = limit - waited;
        _board?.Hold(true);
        Monitor.Wait(_gate, left >= TimeSpan.FromMilliseconds(1) ? left : limit);
        _board?.Hold(false);
        waited += Stopwatch.GetElapsedTime(since);
    }

    private SaveOutcome Save(WriteOperation write, ActiveSnapshot keeper, ref TimeSpan waited)
    {
        try
        {
            for (int index = 0; index < write.Saves.Count; index++)
            {
                keeper.Store.Save(_origin, write.Saves[index], ref waited);
            }

            return SaveOutcome.Saved;
        }
#pragma warning disable CA1031 // whatever goes wrong with the diff area, the write goes on: the snapshot breaks and keeps the reason
        catch (Exception failure)
        {
            return SaveOutcome.Failed($"an old block could not be kept: {failure.Message}");
        }
#pragma warning restore CA1031
    }

    private void End(WriteOperation write)
    {
        _kept?.EndWrite();
        lock (_gate)
        {
            CountUnsynchronized(0);
            _engine.EndWrite(write);
            Pulse();
        }
    }

    private void CountUnsynchronized(int begun)
    {
        _writeCount += begun;
        if (_quietWatchers > 0)
        {
            _lastWriteAt = Stopwatch.GetTimestamp();
        }
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    private void Pulse()
    {
        if (_engine.WakeVersion != _seenWake)
        {
            _seenWake = _engine.WakeVersion;
            Monitor.PulseAll(_gate);
            if (_snapshot is { } snapshot && snapshot.State.Broken is { } broken && snapshot.Fate.TryBreak(broken.Detail))
            {
                // Nobody needs its old blocks any more: they are given back although its requestor may not let go of it for long.
                ThreadPool.UnsafeQueueUserWorkItem(static pair => pair.Volume.GiveBack(pair.Snapshot), (Volume: this, Snapshot: snapshot), preferLocal: false);
            }
        }
    }

    private static QuenchException GateLost() => new(
        "SNAP-164", "the writes to a volume of the set could not be held long enough, so the set has no common instant", "try again in a quieter hour, or allow more time with --freeze-limit")
    {
        Effect = "no snapshot was taken; the volumes are unaffected and their writes go on",
        CanRetry = true,
    };

    private static QuenchException DrainTooSlow(TimeSpan limit) => new(
        "SNAP-103",
        $"writes in flight did not land within {limit.TotalMilliseconds:0} ms, so no snapshot was taken",
        "look at the disk below the volume (`dmesg`, `iostat -x`), then try again")
    {
        Effect = "the volume itself is unaffected: its writes go on",
        CanRetry = true,
    };

    /// <summary>Closed for whom, and what opens it if nobody else does.</summary>
    private sealed record ClosedGate(ActiveSnapshot For, Timer Limit);
}
