using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// A mounted volume on its way to its instant. The tracker is harvested before each pass; <see cref="Convergence"/> decides when the writers are held; what is copied then lies in
/// memory until the requestor has stored it, so the vault may lie on the very volume.
/// </summary>
internal sealed class TrackedSnapshot : IConvergingSnapshot, IChangeHistory
{
    private const int FillsWhileHeld = 3;

    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(2);

    private readonly MountedVolume _volume;
    private readonly TrackedOptions _options;
    private readonly DeviceTracker _tracker;
    private readonly IBlockReader _live;
    private readonly TimeProvider _clock;
    private readonly Convergence _convergence;
    private readonly long _began;
    private UsedBlocks _marked;  // harvested, and not told to the requestor yet
    private string? _doubt = ""; // why a write may be missing since the requestor was told last; null when none is; at first nothing is known
    private long _harvestedAt;
    private long _completedThen;
    private bool _isEverything;  // what was told since the last judgement is everything, because of a doubt
    private readonly List<string> _doubts = [];
    private TimeSpan _lastInterval; // between the last two tellings
    private long _lastWritten;      // in it
    private HeldRest? _rest;
    private UsedBlocks _lateMarks;       // harvested while writers were held, after the standing tracker had begun to count
    private Task<FreezeSet>? _guards;    // coming up, for the next hold

    public TrackedSnapshot(MountedVolume volume, TrackedOptions options, DeviceTracker tracker, IBlockReader live, TimeProvider clock)
    {
        (_volume, _options, _tracker, _live, _clock) = (volume, options, tracker, live, clock);
        _convergence = new Convergence(options.Limits);
        (_marked, _lateMarks) = (NoBlocks(), NoBlocks());
        _began = clock.GetTimestamp();
        _harvestedAt = _began;
        Instant = clock.GetUtcNow();
    }

    /// <summary>What stays in the kernel after it; owned. Null when changes are not tracked between backups.</summary>
    public StandingTracker? Standing { get; set; }

    /// <summary>Why not, then.</summary>
    public string WhyNotStanding { get; set; } = "";

    public string Volume => _volume.Device;

    public string Provider => TrackedProvider.Name;

    public DateTimeOffset Instant { get; private set; }

    public SnapshotGrade Grade { get; private set; } = SnapshotGrade.Crash;

    public TimeSpan? FreezeTime { get; private set; }

    public IReadOnlyList<string> Doubts => _doubts;

    public IReadOnlyList<PartInUse> Parts => _volume.Parts;

    /// <summary>Where its file systems are mounted that are frozen at the instant.</summary>
    public IReadOnlyList<string> FrozenPoints => _volume.FrozenPoints;

    public IBlockReader Reader => FreezeTime is null ? _live : _rest!;

    public ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        foreach (string mountPoint in _volume.MountPoints)
        {
            using SafeFileHandle root = NativeFile.Open(mountPoint, OpenMode.ReadOnly | OpenMode.Directory);
            NativeFile.SyncFileSystem(root); // what lies in the cache would otherwise be written while the writers are held
        }

        Harvest();
        return ValueTask.FromResult(TellChanges());
    }

    public bool ShouldHold(long leftBytes)
    {
        bool inDoubt = _isEverything;
        _isEverything = false;
        return _convergence.Judge(leftBytes, inDoubt, _clock.GetElapsedTime(_began)) switch
        {
            ConvergenceStep.Copy => CopyOnce(),
            ConvergenceStep.Hold => true,
            _ => throw Endless(leftBytes),
        };
    }

    /// <summary>Not yet. What is written while a guard starts would have to be copied while writers are held, so it starts while the last passes run.</summary>
    private bool CopyOnce()
    {
        if (_convergence.Passes > 1)
        {
            _guards ??= FreezeSet.StartAsync(FrozenPoints, CancellationToken.None);
        }

        return false;
    }

    public ValueTask<bool> HoldAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose, CancellationToken cancellationToken) =>
        TrackedHold.TakeAsync([this], [choose], _options, _clock, cancellationToken);

    /// <summary>Has all in place that a hold needs: memory, and a guard for each file system.</summary>
    /// <returns>Not frozen yet; the caller's.</returns>
    public async ValueTask<FreezeSet> PrepareHoldAsync(CancellationToken cancellationToken)
    {
        DemandSameMounts();
        _rest ??= new HeldRest(_live.Geometry, _options.Limits.HeldBytes);
        Task<FreezeSet> starting = _guards ?? FreezeSet.StartAsync(FrozenPoints, cancellationToken);
        _guards = null;
        FreezeSet guards = await starting;
        _convergence.NoteHold();
        return guards;
    }

    /// <summary>The instant is there: the reader answers what was copied.</summary>
    /// <param name="instant">When all writers were held.</param>
    /// <param name="heldFor">How long its own were.</param>
    public void Accept(DateTimeOffset instant, TimeSpan heldFor)
    {
        SnapshotGrade grade = Parts.All(part => part.IsFrozen) ? SnapshotGrade.FileSystem : SnapshotGrade.Crash;
        (Instant, Grade, FreezeTime) = (instant, grade, heldFor);
    }

    /// <summary>Whether its device is a loop device, or a part of one, over a file on another volume.</summary>
    public bool LiesOn(TrackedSnapshot other) =>
        DiskPlace.Of(_volume.Device).BackingFile is { } file && NativeFile.TryGetStatus(file) is { } status
        && other._volume.MountPoints.Any(mountPoint => NativeFile.TryGetStatus(mountPoint)?.Device == status.Device);

    /// <remarks>Only after the first <see cref="TakeChangesAsync"/>: what is written after that is told by the next.</remarks>
    public ValueTask<VolumeChanges> GetChangesAsync(Guid vault, CancellationToken cancellationToken) =>
        ValueTask.FromResult(Standing?.GetChanges(vault) ?? VolumeChanges.Unknown(WhyNotStanding));

    public ValueTask RememberAsync(Guid vault, Guid point, UsedBlocks used, CancellationToken cancellationToken)
    {
        if (Standing is { } standing)
        {
            Harvest(); // a request that was under way past the file system at the instant has landed by now
            if (_doubt is { } doubt)
            {
                throw new QuenchException("SNAP-186", $"the point of {_volume.Device} can't be remembered for the next backup: {doubt}", "nothing: the next backup reads everything and compares it")
                {
                    Effect = "the point is in the vault; the next backup takes longer",
                };
            }

            standing.Remember(vault, point, used, _lateMarks.With(_marked));
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask KeepOnlyAsync(UsedBlocks used, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask ReleaseAsync(Extent imaged, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    public ValueTask<DiffAreaStatus> GetStatusAsync(CancellationToken cancellationToken) => ValueTask.FromResult(default(DiffAreaStatus));

    public ValueTask<IReadOnlyList<Extent>> GetSavedExtentsAsync(int limit, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<Extent>>([]);

    public async ValueTask DisposeAsync()
    {
        await LetGoOfGuardsAsync();
        Standing?.Dispose();
        _tracker.Dispose();
        await _live.DisposeAsync();
        if (_rest is not null)
        {
            await _rest.DisposeAsync();
        }
    }

    private async ValueTask LetGoOfGuardsAsync()
    {
        if (_guards is not null)
        {
            try
            {
                await (await _guards).DisposeAsync();
            }
            catch (QuenchException)
            {
                // They did not come up, and they are not needed any more.
            }
        }
    }

    /// <summary>
    /// Copies under the freeze. Whoever writes to the device past the frozen file systems is not held by it: then it is copied again, a few times, unless nothing in use was written.
    /// </summary>
    /// <param name="choose">Says what must be copied.</param>
    /// <returns>False when it can't be had now: too much is left, or writing does not end.</returns>
    public async ValueTask<bool> CopyRestAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose)
    {
        if (!TryDrain())
        {
            return false;
        }

        BeginStanding();
        if (!TryDrain()) // whatever was submitted before the count began lands before the last copy
        {
            return false;
        }

        _lateMarks = NoBlocks();
        UsedBlocks? filled = null;
        for (int fill = 0; fill <= FillsWhileHeld; fill++)
        {
            Harvest();
            if (filled is not null && _doubt is null && _marked.Bits.NextSet(0) < 0)
            {
                return true;
            }

            UsedBlocks changed = TellChanges();
            UsedBlocks wanted = await choose(changed);
            if (_isEverything || wanted.TotalLength > _rest!.Room)
            {
                return false;
            }

            if (filled is not null)
            {
                _lateMarks = _lateMarks.With(changed);
                if (!changed.Runs().Any(wanted.Overlaps) && wanted.Runs().SequenceEqual(filled.Runs()))
                {
                    return true; // of what was copied nothing has changed
                }
            }

            if (fill < FillsWhileHeld)
            {
                await _rest.FillAsync(_live, wanted);
                filled = wanted;
            }
        }

        return false;
    }

    /// <summary>A partition that was mounted meanwhile would not be frozen, and its map would be read as that of one at rest.</summary>
    private void DemandSameMounts()
    {
        if (_volume.Parts.Count > 0 && !PartInUse.Of(_volume.Device).Select(part => (part.Extent, part.MountPoint)).SequenceEqual(_volume.Parts.Select(part => (part.Extent, part.MountPoint))))
        {
            throw new QuenchException("SNAP-183", $"partitions of {_volume.Device} were mounted or unmounted while it was tracked", "run the backup again")
            {
                Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
                CanRetry = true,
            };
        }
    }

    private void BeginStanding()
    {
        Standing?.BeginAtInstant();
        if (Standing?.HearsItself() == false)
        {
            Standing.Dispose();
            (Standing, WhyNotStanding) = (null, "the tracker that stands between backups does not run any more");
        }
    }

    /// <summary>Waits until every write has landed that was submitted before the freeze.</summary>
    private bool TryDrain()
    {
        long since = _clock.GetTimestamp();
        SpinWait wait = default;
        while (_tracker.WritesInFlight > 0)
        {
            if (_clock.GetElapsedTime(since) > s_drainLimit)
            {
                return false;
            }

            wait.SpinOnce();
        }

        return true;
    }

    private void Harvest() => _doubt = _tracker.Harvest(_marked.Bits) ?? _doubt;

    /// <summary>Hands over what has been harvested: everything when a write may be missing in it.</summary>
    private UsedBlocks TellChanges()
    {
        bool isFirst = _doubt is { Length: 0 };
        UsedBlocks told = _doubt is null ? _marked : UsedBlocks.All(_tracker.Length);
        if (_doubt is not null && !isFirst)
        {
            _isEverything = true;
            _doubts.Add(_doubt);
        }

        (_doubt, _marked) = (null, NoBlocks());
        _lastInterval = _clock.GetElapsedTime(_harvestedAt);
        _lastWritten = _tracker.CompletedBytes - _completedThen;
        (_harvestedAt, _completedThen) = (_clock.GetTimestamp(), _tracker.CompletedBytes);
        return told;
    }

    private UsedBlocks NoBlocks() => new(_tracker.Length, _tracker.BlockSize);

    private QuenchException Endless(long leftBytes) =>
        new(
            "SNAP-184",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{_volume.Device} can't be imaged while it is used: {_convergence.Reason}. After {_convergence.Passes} passes {ByteSize.Format(leftBytes)} were left; "
                + $"during the last, of {_lastInterval.TotalSeconds:0.0} s, {ByteSize.Format(_lastWritten)} were written or discarded{Doubted()}"),
            "run it in a quieter hour, slow the writers down (ionice, limits of their service), or attach the volume through Quench (`quench attach`): its snapshots don't depend on the rate of writes")
        {
            Effect = "the backup was given up and left no recovery point; the volume itself is unaffected",
            CanRetry = true,
        };

    private string Doubted() => _doubts.Count == 0 ? "" : $"; {_doubts[^1]}";
}
