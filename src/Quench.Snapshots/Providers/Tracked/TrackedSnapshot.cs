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
    private Task<ThawGuard>? _guard; // coming up, for the next hold

    public TrackedSnapshot(MountedVolume volume, TrackedOptions options, DeviceTracker tracker, IBlockReader live, TimeProvider clock)
    {
        (_volume, _options, _tracker, _live, _clock) = (volume, options, tracker, live, clock);
        _convergence = new Convergence(options.Limits);
        _marked = NoBlocks();
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

    public IBlockReader Reader => FreezeTime is null ? _live : _rest!;

    public ValueTask<UsedBlocks> TakeChangesAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        using (SafeFileHandle root = NativeFile.Open(_volume.MountPoint, OpenMode.ReadOnly | OpenMode.Directory))
        {
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
            _guard ??= ThawGuard.StartAsync(_volume.MountPoint, CancellationToken.None);
        }

        return false;
    }

    public async ValueTask<bool> HoldAsync(Func<UsedBlocks, ValueTask<UsedBlocks>> choose, CancellationToken cancellationToken)
    {
        _rest ??= new HeldRest(_live.Geometry, _options.Limits.HeldBytes);
        Task<ThawGuard> starting = _guard ?? ThawGuard.StartAsync(_volume.MountPoint, cancellationToken);
        _guard = null;
        using ThawGuard guard = await starting;
        cancellationToken.ThrowIfCancellationRequested();
        bool isWhole = false;
        DateTimeOffset instant = default;
        TimeSpan heldFor = default;
        InstantVerdict verdict = await HeldInstant.TakeAsync(
            _options.Writers,
            _volume.MountPoint,
            async () =>
            {
                using FrozenFileSystem frozen = FrozenFileSystem.Freeze(_volume.MountPoint, guard, _options.FreezeLimit);
                instant = _clock.GetUtcNow();
                isWhole = await CopyRestAsync(_rest, choose);
                heldFor = frozen.Thaw();
                return isWhole;
            },
            cancellationToken);
        if (!isWhole || verdict == InstantVerdict.TryAgain)
        {
            return false;
        }

        (Instant, Grade, FreezeTime) = (instant, SnapshotGrade.FileSystem, heldFor);
        return true;
    }

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

            standing.Remember(vault, point, used, _marked);
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
        await LetGoOfGuardAsync();
        Standing?.Dispose();
        _tracker.Dispose();
        await _live.DisposeAsync();
        if (_rest is not null)
        {
            await _rest.DisposeAsync();
        }
    }

    private async ValueTask LetGoOfGuardAsync()
    {
        if (_guard is not null)
        {
            try
            {
                (await _guard).Dispose();
            }
            catch (QuenchException)
            {
                // It did not come up, and it is not needed any more.
            }
        }
    }

    /// <summary>Copies under the freeze. Whoever writes to the device past the file system is not held by it: then it is copied again, a few times.</summary>
    private async ValueTask<bool> CopyRestAsync(HeldRest rest, Func<UsedBlocks, ValueTask<UsedBlocks>> choose)
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

        for (int fill = 0; fill < FillsWhileHeld; fill++)
        {
            Harvest();
            UsedBlocks wanted = await choose(TellChanges());
            if (_isEverything || wanted.TotalLength > rest.Room)
            {
                return false;
            }

            await rest.FillAsync(_live, wanted);
            Harvest();
            if (_doubt is null && _marked.Bits.NextSet(0) < 0)
            {
                return true;
            }
        }

        return false;
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
