using System.Diagnostics;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Fuse;
using Quench.Interop.Block;
using Quench.Interop.Linux;
using Quench.Snapshots.Engine;
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

    private readonly object _gate = new();        // a monitor, because writers wait on it; guards the three below
    private readonly CopyBeforeWrite _engine;
    private long _seenWake;                       // the engine's wake version that waiters have been told of
    private ActiveSnapshot? _snapshot;            // what the engine's active or prepared snapshot keeps outside the engine

    internal FilterVolume(Disk origin, int blockSize, TrackingStart tracking, KeptSnapshots kept)
    {
        Kept = kept;
        _origin = origin;
        Tracking = tracking;
        _tracker = tracking.Tracker;
        _canZero = origin is ImageFile || BlockDevice.CanZeroQuickly(origin.Path);
        _engine = new CopyBeforeWrite(origin.Geometry.Length, blockSize);
    }

    /// <inheritdoc/>
    public long Length => _origin.Geometry.Length;

    /// <inheritdoc/>
    public bool IsWritable => true;

    internal Disk Origin => _origin;

    internal TrackingStart Tracking { get; }

    /// <summary>The persistent snapshots. Every write passes through them after the engine and before the origin.</summary>
    internal KeptSnapshots Kept { get; }

    internal int BlockSize => _engine.BlockSize;

    /// <inheritdoc/>
    public void Read(long offset, Span<byte> into) => _origin.Read(offset, into);

    /// <inheritdoc/>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        WriteOperation write = Admit(new Extent(offset, source.Length));
        try
        {
            _tracker?.BeforeWrite(new Extent(offset, source.Length)); // after the gate: so no write is between its mark and its landing at an instant
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

        WriteOperation write = Admit(range);
        try
        {
            _tracker?.BeforeWrite(range);
            _origin.Zero(range);
        }
        finally
        {
            End(write);
        }
    }

    /// <inheritdoc/>
    public void ZeroRange(Extent range) => PunchHole(range);

    /// <summary>Closes the gate, lets the writes in flight land, takes the snapshot, opens the gate.</summary>
    /// <param name="snapshot">Prepared and not used yet.</param>
    /// <param name="limit">How long to wait for the writes in flight.</param>
    /// <returns>How long the gate was closed.</returns>
    /// <exception cref="QuenchException">SNAP-103: the writes did not land in time; no snapshot was taken and the gate is open.</exception>
    internal TimeSpan Activate(ActiveSnapshot snapshot, TimeSpan limit)
    {
        long since = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            _engine.BeginActivation(snapshot.State);
            while (!_engine.TryFinishActivation())
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

            if (snapshot.Generation is { } generation)
            {
                _tracker!.Advance(generation); // in the same hold of the lock as the engine's instant
            }

            _snapshot = snapshot;
            Pulse();
        }

        return Stopwatch.GetElapsedTime(since);
    }

    /// <summary>Lets go of a snapshot and waits until nobody uses what it keeps, then gives that back.</summary>
    internal void Deactivate(ActiveSnapshot snapshot)
    {
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
            while (!snapshot.State.CanFreeSlots)
            {
                Monitor.Wait(_gate);
            }
        }

        snapshot.Dispose();
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
    private WriteOperation Admit(Extent range)
    {
        WriteOperation write;
        WriteStep step;
        ActiveSnapshot? keeper;
        lock (_gate)
        {
            write = _engine.BeginWrite(range);
            step = NextUnsynchronized(write);
            keeper = _snapshot;
        }

        while (step == WriteStep.Save)
        {
            SaveOutcome outcome = Save(write, keeper!);
            lock (_gate)
            {
                _engine.CompleteSave(write, outcome);
                Pulse();
                step = NextUnsynchronized(write);
                keeper = _snapshot;
            }
        }

        Kept.BeginWrite(range);
        return write;
    }

    /// <summary>Asks for the next step, waiting inside the monitor as long as the answer is to wait.</summary>
    private WriteStep NextUnsynchronized(WriteOperation write)
    {
        while (true)
        {
            WriteStep step = _engine.Next(write);
            Pulse();
            if (step != WriteStep.Wait)
            {
                return step;
            }

            Monitor.Wait(_gate);
        }
    }

    private SaveOutcome Save(WriteOperation write, ActiveSnapshot keeper)
    {
        try
        {
            for (int index = 0; index < write.Saves.Count; index++)
            {
                keeper.Store.Save(_origin, write.Saves[index]);
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
        Kept.EndWrite();
        lock (_gate)
        {
            _engine.EndWrite(write);
            Pulse();
        }
    }

    private void Pulse()
    {
        if (_engine.WakeVersion != _seenWake)
        {
            _seenWake = _engine.WakeVersion;
            Monitor.PulseAll(_gate);
        }
    }

    private static QuenchException DrainTooSlow(TimeSpan limit) => new(
        "SNAP-103",
        $"writes in flight did not land within {limit.TotalMilliseconds:0} ms, so no snapshot was taken",
        "look at the disk below the volume (`dmesg`, `iostat -x`), then try again")
    {
        Effect = "the volume itself is unaffected: its writes go on",
        CanRetry = true,
    };
}
