using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using Quench.Blocks;
using Quench.Interop.Memory;

namespace Quench.Snapshots.Tracking;

/// <summary>How a tracker paces itself.</summary>
internal sealed record TrackingPace
{
    /// <summary>How long a write waits for its region's intent before tracking is given up for its sake.</summary>
    internal TimeSpan WriteLimit { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The time between two checkpoints while there is something to write.</summary>
    internal TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>What the tracker's answers are about, written into each checkpoint.</summary>
internal sealed record TrackingSession(Guid State, Guid Session, OriginFacts Origin);

/// <summary>How tracking is doing.</summary>
/// <param name="Off">Why it was given up; null while it works.</param>
/// <param name="Point">The point that was remembered last; null when there is none.</param>
/// <param name="ChangedBytes">What changed since that point, in whole grains; null with no point.</param>
/// <param name="DoubtfulBytes">What a crash has made doubtful for that point.</param>
/// <param name="Lost">Why earlier points were forgotten; empty when they were not.</param>
internal readonly record struct TrackingStatus(string? Off, Guid? Point, long? ChangedBytes, long DoubtfulBytes, string Lost);

/// <summary>
/// The shell around <see cref="ChangeTracker"/>: a thread that makes intents durable while writers wait, in groups; a thread that makes checkpoints
/// now and then; and the way out when the state's medium fails or is too slow: tracking is given up and the volume goes on.
/// </summary>
/// <remarks>Thread-safe. A write to a guarded region costs the setting of a bit; nothing is allocated for it.</remarks>
internal sealed class WriteTracker : IDisposable
{
    private const int RestBetweenCheckpoints = 20; // times as long as the last one took, so that a large map costs little however busy the volume is

    private const string DoesNotAnswer = "the tracking state's disk does not answer";

    private static readonly TimeSpan s_booksLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_closeLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_revokeAgain = TimeSpan.FromSeconds(10);

    private readonly ChangeTracker _core;
    private readonly ITrackingMedium _medium;
    private readonly TrackingSession _session;
    private readonly TrackingPace _pace;
    private readonly Action<string> _givenUp;
    private readonly Thread[] _threads;
    private readonly AutoResetEvent _asked = new(false);      // the commit thread has something to do
    private readonly ManualResetEvent _ending = new(false);
    private readonly object _door = new();                    // a monitor: writers wait here until their commit is durable
    private readonly object _books = new();                   // a monitor, because it is tried for a time; the turn of the tracker's slow calls; guards the two below
    private readonly ArrayBufferWriter<byte> _encoded = new();
    private string _lost;
    private readonly Lock _givingUp = new();
    private volatile string? _off;                            // why tracking was given up; set once

    /// <summary>Begins to track. The medium has the state durably already, if there is any.</summary>
    /// <param name="core">The books.</param>
    /// <param name="medium">The state's medium; owned from now on.</param>
    /// <param name="session">What it is about.</param>
    /// <param name="lost">Why earlier marks were forgotten; empty when they were not.</param>
    /// <param name="pace">The pace.</param>
    /// <param name="givenUp">Called once, before any write goes on untracked; must be quick and must not fail.</param>
    internal WriteTracker(ChangeTracker core, ITrackingMedium medium, TrackingSession session, string lost, TrackingPace pace, Action<string> givenUp)
    {
        _core = core;
        _medium = medium;
        _session = session;
        _lost = lost;
        _pace = pace;
        _givenUp = givenUp;
        _threads =
        [
            new Thread(CommitIntents) { IsBackground = true, Name = "track-intents" },
            new Thread(MakeCheckpoints) { IsBackground = true, Name = "track-checkpoints" },
        ];
        foreach (Thread thread in _threads)
        {
            thread.Start();
        }
    }

    /// <summary>Whether there is anything that the next attachment could use.</summary>
    internal bool HasSomethingToKeep => _core.Marks.Count > 0 || _lost.Length > 0 || _off is not null;

    /// <summary>A generation for the next instant. Takes memory and time in proportion to the volume: outside any freeze.</summary>
    internal Generation NewGeneration() => new(_session.Origin.Length);

    /// <summary>Tells of a write that has been let in, before it goes on. May wait, no longer than the pace allows.</summary>
    internal void BeforeWrite(Extent range)
    {
        if (_off is null && !_core.Mark(range))
        {
            WaitForIntent(range);
        }
    }

    /// <summary>The snapshot's instant: no write is let in and not landed. Only swaps references.</summary>
    internal void Advance(Generation fresh) => _core.Advance(fresh);

    /// <summary>What happened between a vault's mark and an instant.</summary>
    /// <param name="vault">The vault.</param>
    /// <param name="since">The generation that began at the instant.</param>
    internal StoredChanges Find(Guid vault, Generation since)
    {
        if (_off is { } off)
        {
            return new StoredChanges(null, off);
        }

        if (!Monitor.TryEnter(_books, s_booksLimit))
        {
            return new StoredChanges(null, DoesNotAnswer);
        }

        try
        {
            return _core.Find(vault, since) is { } mark
                ? StoredChanges.Of(mark, _session.Origin.Length)
                : new StoredChanges(null, _lost.Length > 0 ? _lost : "no point of this vault is remembered for the volume");
        }
        finally
        {
            Monitor.Exit(_books);
        }
    }

    /// <summary>Keeps an instant as a vault's mark; durable when it returns.</summary>
    /// <exception cref="QuenchException">SNAP-150: it can't be kept; tracking is given up.</exception>
    internal void Remember(Guid vault, Guid point, byte[] used, Generation since)
    {
        if (_off is not null)
        {
            return; // the requestor has been told why when it asked what changed; nothing new is lost
        }

        if (!Monitor.TryEnter(_books, s_booksLimit))
        {
            throw CannotRemember(DoesNotAnswer);
        }

        try
        {
            VolumeMark? dropped = _core.Remember(vault, point, used, since);
            _lost = dropped is null ? "" : $"the point of vault {dropped.Vault} was forgotten: a volume remembers {ChangeTracker.MaxMarks} vaults, and {vault} was one too many";
            WriteCheckpoint(CheckpointCondition.InUse, "");
        }
        catch (Exception failure) when (failure is not (OutOfMemoryException or InvalidOperationException))
        {
            GiveUp($"the tracking state can't be written: {failure.Message}");
        }
        finally
        {
            Monitor.Exit(_books);
        }

        if (_off is { } off)
        {
            throw CannotRemember(off);
        }

        _asked.Set();
    }

    internal TrackingStatus Status()
    {
        if (_off is { } off)
        {
            return new TrackingStatus(off, null, null, 0, "");
        }

        if (!Monitor.TryEnter(_books, s_booksLimit))
        {
            return new TrackingStatus(DoesNotAnswer, null, null, 0, "");
        }

        try
        {
            return _core.Marks.Count == 0
                ? new TrackingStatus(null, null, null, 0, _lost)
                : new TrackingStatus(
                    null, _core.Marks[^1].Point, _core.CountChanged(_core.Marks[^1]) * ChangeMap.GrainSize,
                    StoredChanges.CountRegions(_core.Marks[^1].Doubtful) * ChangeMap.RegionSize, _lost);
        }
        finally
        {
            Monitor.Exit(_books);
        }
    }

    /// <summary>Ends in order: nobody writes any more. What the state says from then on holds as long as the origin bears the stamp.</summary>
    /// <param name="stamp">The origin's stamp; null when it can't be told.</param>
    internal void Close(string? stamp)
    {
        End();
        if (_off is not null || !Monitor.TryEnter(_books, s_closeLimit))
        {
            return; // the state says "in use", or is revoked: it is not believed
        }

        try
        {
            WriteCheckpoint(CheckpointCondition.Clean, stamp ?? "");
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            GiveUp($"the tracking state can't be written: {failure.Message}");
        }
        finally
        {
            Monitor.Exit(_books);
        }
    }

    /// <summary>Stops the threads and closes the medium. Leaves the state as after a crash unless <see cref="Close"/> came first.</summary>
    public void Dispose()
    {
        End();
        foreach (Thread thread in _threads)
        {
            if (!thread.Join(s_closeLimit))
            {
                return; // it hangs in the medium: closing that under it could hang us too
            }
        }

        _medium.Dispose();
        _asked.Dispose(); // not _ending: a revocation may still look at it
    }

    /// <summary>Writes the first checkpoint of an attachment, or one that revokes what was believed, on the caller's thread.</summary>
    internal static void WriteFirst(ITrackingMedium medium, Checkpoint checkpoint, bool bothSlots)
    {
        ArrayBufferWriter<byte> encoded = new();
        checkpoint.Encode(encoded);
        medium.WriteSlot(SlotOf(checkpoint.Sequence), encoded.WrittenSpan);
        if (bothSlots)
        {
            medium.WriteSlot(SlotOf(checkpoint.Sequence + 1), encoded.WrittenSpan);
        }
    }

    internal static int SlotOf(long sequence) => (int)(sequence & 1);

    private static QuenchException CannotRemember(string reason) => new(
        "SNAP-150", $"the point can't be remembered for the next backup: {reason}", "see to the folder of the tracking state (QUENCH_STATE_DIR), then detach the volume and attach it again")
    {
        Effect = "the point is whole; the next backup reads everything",
    };

    private void WaitForIntent(Extent range)
    {
        long ticket = _core.Arm(range);
        if (ticket == 0)
        {
            return;
        }

        long since = Stopwatch.GetTimestamp();
        _asked.Set();
        lock (_door)
        {
            while (_off is null && !_core.IsCommitted(ticket))
            {
                TimeSpan left = _pace.WriteLimit - Stopwatch.GetElapsedTime(since);
                if (left <= TimeSpan.Zero)
                {
                    break;
                }

                Monitor.Wait(_door, left);
            }
        }

        if (!_core.IsCommitted(ticket))
        {
            GiveUp(string.Create(CultureInfo.InvariantCulture, $"the tracking state's disk took longer than {_pace.WriteLimit.TotalSeconds:0.###} s, and writes to the volume had to wait for it"));
        }
    }

    private void CommitIntents()
    {
        List<int> pages = [];
        using NativeBuffer page = new(ChangeTracker.PageSize, locked: true);
        try
        {
            while (_asked.WaitOne() && !_ending.WaitOne(0))
            {
                while (_off is null && _core.BeginCommit(pages))
                {
                    foreach (int number in pages)
                    {
                        _core.EncodePage(number, page.GetSpan());
                        _medium.WriteIntents(number, page.GetSpan());
                    }

                    _medium.SyncIntents();
                    _core.CompleteCommit();
                    lock (_door)
                    {
                        Monitor.PulseAll(_door);
                    }
                }
            }
        }
#pragma warning disable CA1031 // whatever goes wrong with the state, the volume goes on
        catch (Exception failure)
        {
            GiveUp($"the tracking state can't be written: {failure.Message}");
        }
#pragma warning restore CA1031
    }

    private void MakeCheckpoints()
    {
        TimeSpan rest = _pace.Interval;
        try
        {
            while (!_ending.WaitOne(rest) && _off is null)
            {
                long since = Stopwatch.GetTimestamp();
                lock (_books)
                {
                    if (_off is null && _core.NeedsCheckpoint)
                    {
                        WriteCheckpoint(CheckpointCondition.InUse, "");
                    }
                }

                _asked.Set(); // intents that may be cleared now
                TimeSpan atLeast = RestBetweenCheckpoints * Stopwatch.GetElapsedTime(since);
                rest = atLeast > _pace.Interval ? atLeast : _pace.Interval;
            }
        }
#pragma warning disable CA1031 // as above
        catch (Exception failure)
        {
            GiveUp($"the tracking state can't be written: {failure.Message}");
        }
#pragma warning restore CA1031
    }

    private void WriteCheckpoint(CheckpointCondition condition, string stamp)
    {
        _core.SelectQuiet();
        Checkpoint checkpoint = Describe(condition, stamp, _core.NextSequence, _lost) with { Changed = _core.Copy(), Marks = _core.Marks };
        checkpoint.Encode(_encoded);
        _medium.WriteSlot(SlotOf(checkpoint.Sequence), _encoded.WrittenSpan);
        _core.CompleteCheckpoint();
    }

    private Checkpoint Describe(CheckpointCondition condition, string stamp, long sequence, string lost) => new()
    {
        State = _session.State,
        Sequence = sequence,
        VolumeLength = _session.Origin.Length,
        Condition = condition,
        Identity = _session.Origin.Identity ?? "",
        Stamp = stamp,
        Session = _session.Session,
        BootId = _session.Origin.BootId,
        Lost = lost,
        Marks = [],
        Changed = new ChangeMap(_session.Origin.Length),
    };

    /// <summary>From now on writes go untracked, and nothing that was written down may be believed.</summary>
    private void GiveUp(string reason)
    {
        lock (_givingUp)
        {
            if (_off is not null)
            {
                return;
            }

            _givenUp(reason); // first where it can't hang: whoever cleans up after our death looks there
            _off = reason;
        }

        lock (_door)
        {
            Monitor.PulseAll(_door);
        }

        new Thread(() => Revoke(reason)) { IsBackground = true, Name = "track-revoke" }.Start();
    }

    /// <summary>Strikes out what the medium has, as soon as it takes it. Its number is beyond that of a checkpoint which may still be under way.</summary>
    private void Revoke(string reason)
    {
        Checkpoint revoked = Describe(CheckpointCondition.Revoked, "", _core.NextSequence + 1, reason);
        do
        {
            try
            {
                WriteFirst(_medium, revoked, bothSlots: true);
                return;
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                // The medium is why we are here. It is tried again as long as we live.
            }
        }
        while (!_ending.WaitOne(s_revokeAgain));
    }

    private void End()
    {
        _ending.Set();
        _asked.Set();
    }
}
