using Quench.Snapshots.Coordination;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>
/// Snapshots of several attached volumes at one instant, all or none: all file systems on them are frozen, then the gates of all are closed, then each takes its snapshot and opens its gate.
/// While all gates are closed nothing lands anywhere, so the instant is the same also for those that are not frozen.
/// </summary>
internal sealed class FilterSet : IDisposable
{
    private readonly List<Member> _members = [];
    private readonly SnapshotOptions _options;
    private readonly TimeProvider _clock;

    private FilterSet(SnapshotOptions options, TimeProvider clock) => (_options, _clock) = (options, clock);

    /// <summary>The file systems to freeze, in that order.</summary>
    private List<string> MountPoints { get; } = [];

    /// <summary>Connects to all workers. Nothing is prepared yet.</summary>
    /// <param name="volumes">Each once.</param>
    /// <param name="options">Memory and cap of the diff areas are shared by all, in equal parts.</param>
    /// <param name="clock">Names the instant.</param>
    internal static FilterSet Connect(IReadOnlyList<AttachedVolume> volumes, SnapshotOptions options, TimeProvider clock)
    {
        FilterSet set = new(options with { MemoryBytes = options.MemoryBytes / volumes.Count, CapBytes = options.CapBytes / volumes.Count }, clock);
        try
        {
            foreach (AttachedVolume volume in FreezeSet.InOrder(volumes, (volume, other) => other.Holds(volume.Origin)))
            {
                PartInUse[] parts = volume.MountPoint is null ? [.. PartInUse.Of(volume.Device).Select(part => part with { IsFrozen = options.Freeze && part.CanFreeze })] : [];
                set._members.Add(new Member(volume, parts, ControlClient.Connect(volume.Name)));
                set.MountPoints.AddRange(options.Freeze && volume.MountPoint is { } mountPoint ? [mountPoint] : parts.Where(part => part.IsFrozen).Select(part => part.MountPoint!));
            }

            return set;
        }
        catch
        {
            set.Dispose();
            throw;
        }
    }

    /// <summary>Takes the snapshots. Each takes over its conversation; what is not taken ends with this.</summary>
    /// <returns>In the order in which the volumes were named, and what the applications say to it.</returns>
    internal async Task<TakenSet> TakeAsync(IReadOnlyList<AttachedVolume> order, CancellationToken cancellationToken)
    {
        long since = _clock.GetTimestamp();
        foreach (Member member in _members)
        {
            member.Client.Ask(FilterProvider.Preparation(member.Volume, order, _options));
        }

        await using FreezeSet freeze = await FreezeSet.StartAsync(MountPoints, cancellationToken);
        _members.ForEach(member => member.Client.Ask(new ControlRequest { Op = "ping" })); // the way to the workers is compiled before anything is frozen
        cancellationToken.ThrowIfCancellationRequested();
        DateTimeOffset instant = default;
        InstantVerdict verdict = await HeldInstant.TakeAsync(
            _options.Writers,
            MountPoints,
            () =>
            {
                instant = TakeFrozen(freeze);
                return ValueTask.FromResult(true);
            },
            cancellationToken);
        TimeSpan taken = _clock.GetElapsedTime(since);
        List<FilterSnapshot> snapshots = [];
        try
        {
            snapshots.AddRange(order.Select(volume => Made(_members.First(member => member.Volume.Name == volume.Name), instant, freeze, taken)));
            return new TakenSet(snapshots, verdict);
        }
        catch
        {
            foreach (FilterSnapshot snapshot in snapshots)
            {
                await snapshot.DisposeAsync();
            }

            throw;
        }
    }

    /// <summary>Hangs up on the workers that hold nothing for anybody.</summary>
    public void Dispose() => _members.ForEach(member => member.Client.Dispose());

    private DateTimeOffset TakeFrozen(FreezeSet freeze)
    {
        DateTimeOffset instant;
        try
        {
            freeze.Freeze(_options.FreezeLimit);
            _members.ForEach(member => member.Ask("close-gate", _options.FreezeLimit));
            instant = _clock.GetUtcNow();
            _members.ForEach(member => member.Path = member.Ask("activate", _options.FreezeLimit).Path!);
        }
        finally
        {
            freeze.ThawQuietly();
        }

        freeze.DemandHeld();
        return instant;
    }

    private FilterSnapshot Made(Member member, DateTimeOffset instant, FreezeSet freeze, TimeSpan taken)
    {
        bool isFrozen = member.Volume.MountPoint is { } mountPoint ? freeze.Holds(mountPoint) : member.Parts.Count > 0 && member.Parts.All(part => part.IsFrozen);
        bool isAny = isFrozen || member.Parts.Any(part => part.IsFrozen);
        return new FilterSnapshot(member.Volume, member.Client, member.Path, instant, isFrozen ? SnapshotGrade.FileSystem : SnapshotGrade.Crash, isAny ? freeze.LongestHeld : null)
        {
            Parts = member.Parts,
            Times = FilterProvider.TimesOf(taken, _options),
        };
    }

    private sealed record Member(AttachedVolume Volume, IReadOnlyList<PartInUse> Parts, ControlClient Client)
    {
        /// <summary>The snapshot's file, once there is one.</summary>
        internal string Path { get; set; } = "";

        internal ControlReply Ask(string op, TimeSpan limit) => Client.Ask(new ControlRequest { Op = op, LimitMilliseconds = limit.TotalMilliseconds });
    }
}

/// <summary>Snapshots of one instant, in the order in which their volumes were named, and what the applications say to it.</summary>
internal sealed record TakenSet(IReadOnlyList<ISnapshot> Snapshots, InstantVerdict Verdict);
