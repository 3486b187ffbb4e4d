using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>Takes snapshots of attached volumes.</summary>
public static class FilterProvider
{
    private const int DefaultShare = 10; // a tenth of the volume, as shadow storage takes on Windows

    private static readonly TimeSpan s_drainLimit = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Takes a snapshot: everything that takes time is prepared, the file system on the volume (if one is mounted and may be frozen) is flushed and
    /// frozen, the engine takes the instant, the file system is thawed. It lives until it is disposed or this process ends.
    /// </summary>
    /// <param name="volume">From <see cref="FilterVolumes"/>.</param>
    /// <param name="options">The diff area, the freeze, the wait for quiet.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before the instant; nothing stays behind.</param>
    /// <exception cref="QuenchException">SNAP-101 to SNAP-109 and SNAP-120 to SNAP-123: no snapshot was taken; the volume goes on.</exception>
    public static async Task<ISnapshot> TakeAsync(AttachedVolume volume, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        using QuietSearch? search = options.Quiet is { } wish ? new QuietSearch(volume, wish, options.Freeze) : null;
        while (true)
        {
            search?.Wait(cancellationToken);
            TakenSnapshot taken = await TakeInTimeAsync(volume, options, search, clock, cancellationToken);
            try
            {
                if (taken.Verdict == InstantVerdict.TryAgain)
                {
                    await taken.Snapshot.DisposeAsync();
                    continue;
                }

                if (search is null)
                {
                    return taken.Snapshot;
                }

                if (search.Judge(taken.Slipped) is { } found)
                {
                    taken.Snapshot.Times = taken.Snapshot.Times! with { Quiet = found };
                    return taken.Snapshot;
                }
            }
            catch
            {
                await taken.Snapshot.DisposeAsync();
                throw;
            }

            await taken.Snapshot.DisposeAsync(); // a write slipped in, and there is time for another one
        }
    }

    /// <summary>
    /// Takes snapshots of several volumes at one instant, all or none. The diff areas share memory and cap in equal parts. They live until they are disposed or this process ends.
    /// </summary>
    /// <param name="volumes">From <see cref="FilterVolumes"/>, each once.</param>
    /// <param name="options">As for one; a wait for quiet is not for several.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before the instant; nothing stays behind.</param>
    /// <returns>The snapshots, in the order of the volumes.</returns>
    /// <exception cref="QuenchException">SNAP-101 to SNAP-108, SNAP-120 to SNAP-123, SNAP-164: no snapshot was taken; the volumes go on.</exception>
    public static async Task<IReadOnlyList<ISnapshot>> TakeSetAsync(
        IReadOnlyList<AttachedVolume> volumes, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        while (true)
        {
            TakenSet taken = await TakeSetInTimeAsync([.. volumes], options, clock, cancellationToken);
            if (taken.Verdict != InstantVerdict.TryAgain)
            {
                return taken.Snapshots;
            }

            await DisposeAsync(taken.Snapshots);
        }
    }

    private static Task<TakenSet> TakeSetInTimeAsync(AttachedVolume[] volumes, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        TimeSpan limit = LimitOf(options);
        FilterSet set = FilterSet.Connect(volumes, options with { TakeLimit = limit }, clock);
        return InTimeAsync(
            string.Join(", ", volumes.Select(volume => volume.Name)), limit, options.Writers, set, () => set.TakeAsync(volumes, cancellationToken), taken => DisposeAsync(taken.Snapshots), clock);
    }

    private static async ValueTask DisposeAsync(IReadOnlyList<ISnapshot> snapshots)
    {
        foreach (ISnapshot snapshot in snapshots)
        {
            await snapshot.DisposeAsync();
        }
    }

    /// <summary>Takes one within the limit.</summary>
    private static Task<TakenSnapshot> TakeInTimeAsync(
        AttachedVolume volume, SnapshotOptions options, QuietSearch? search, TimeProvider clock, CancellationToken cancellationToken)
    {
        TimeSpan limit = LimitOf(options);
        ControlClient client = ControlClient.Connect(volume.Name);
        return InTimeAsync(
            volume.Name,
            limit,
            options.Freeze && volume.MountPoint is not null ? options.Writers : null,
            client,
            () => TakeAsync(volume, client, options with { TakeLimit = limit }, search, clock, cancellationToken),
            taken => taken.Snapshot.DisposeAsync(),
            clock);
    }

    private static TimeSpan LimitOf(SnapshotOptions options) => options.TakeLimit < SnapshotTimes.LongestTakeLimit ? options.TakeLimit : SnapshotTimes.LongestTakeLimit;

    /// <summary>What takes longer than the limit is hung up on: the workers let go of it, and the guards thaw.</summary>
    private static async Task<T> InTimeAsync<T>(
        string volumes, TimeSpan limit, IApplicationWriters? writers, IDisposable conversation, Func<Task<T>> takeAsync, Func<T, ValueTask> discardAsync, TimeProvider clock)
    {
        try
        {
            Task<T> taking = Task.Run(takeAsync, CancellationToken.None);
            using CancellationTokenSource inTime = new();
            if (await Task.WhenAny(taking, Task.Delay(writers is null ? limit : limit + writers.LongestHold, clock, inTime.Token)) != taking)
            {
                _ = DiscardAsync(taking, discardAsync);
                throw TookTooLong(volumes, limit);
            }

            await inTime.CancelAsync();
            return await taking;
        }
        catch
        {
            conversation.Dispose();
            throw;
        }
    }

    private static async Task DiscardAsync<T>(Task<T> late, Func<T, ValueTask> discardAsync)
    {
        try
        {
            await discardAsync(await late);
        }
        catch (Exception failure) when (failure is QuenchException or IOException or OperationCanceledException)
        {
            // What it was given up for has been told; this comes of hanging up.
        }
    }

    private static async Task<TakenSnapshot> TakeAsync(
        AttachedVolume volume, ControlClient client, SnapshotOptions options, QuietSearch? search, TimeProvider clock, CancellationToken cancellationToken)
    {
        long since = clock.GetTimestamp();
        client.Ask(Preparation(volume, [volume], options));
        TakenSnapshot taken = options.Freeze && volume.MountPoint is { } mountPoint
            ? await TakeFrozenAsync(volume, mountPoint, client, options, search, clock, cancellationToken)
            : volume.MountPoint is null && PartInUse.Of(volume.Device) is { Count: > 0 } parts
            ? await TakeDiskAsync(volume, parts, client, options, search, clock, cancellationToken)
            : TakeUnfrozen(volume, client, options, search, clock);
        taken.Snapshot.Times = TimesOf(clock.GetElapsedTime(since), options);
        return taken;
    }

    internal static SnapshotTimes TimesOf(TimeSpan taken, SnapshotOptions options) => new()
    {
        Taken = taken,
        TakeLimit = options.TakeLimit,
        SaveWaitLimit = SpillSettings.SaveWaitLimit,
        HandlingLimit = SpillSettings.LongestHandling,
        HoldLimit = options.HoldLimit,
        IdleLimit = SpillSettings.LongestHandling,
    };

    private static TakenSnapshot TakeUnfrozen(AttachedVolume volume, ControlClient client, SnapshotOptions options, QuietSearch? search, TimeProvider clock)
    {
        TimeSpan limit = options.TakeLimit < s_drainLimit ? options.TakeLimit : s_drainLimit;
        ControlReply activated = Activate(client, limit);
        bool slipped = search is not null && activated.WriteCount != search.WritesBefore;
        return new TakenSnapshot(new FilterSnapshot(volume, client, activated.Path!, clock.GetUtcNow(), SnapshotGrade.Crash, null), slipped, InstantVerdict.Keep);
    }

    private static async Task<TakenSnapshot> TakeFrozenAsync(
        AttachedVolume volume, string mountPoint, ControlClient client, SnapshotOptions options, QuietSearch? search, TimeProvider clock, CancellationToken cancellationToken)
    {
        using ThawGuard guard = await ThawGuard.StartAsync(mountPoint, cancellationToken);
        client.Ask(new ControlRequest { Op = "ping" }); // the way to the worker is compiled before the file system is frozen
        cancellationToken.ThrowIfCancellationRequested();
        ControlReply? activated = null;
        DateTimeOffset instant = default;
        TimeSpan frozenFor = default;
        bool slipped = false;
        InstantVerdict verdict = await HeldInstant.TakeAsync(
            options.Writers,
            [mountPoint],
            () =>
            {
                using FrozenFileSystem frozen = FrozenFileSystem.Freeze(mountPoint, guard, options.FreezeLimit);
                long writes = search is null ? 0 : client.Ask(new ControlRequest { Op = "ping" }).WriteCount; // the freeze's own writes have been counted by now
                activated = Activate(client, options.FreezeLimit);
                instant = clock.GetUtcNow();
                slipped = search is not null && activated.WriteCount != writes;
                frozenFor = frozen.Thaw();
                return ValueTask.FromResult(true);
            },
            cancellationToken);
        return new TakenSnapshot(new FilterSnapshot(volume, client, activated!.Path!, instant, SnapshotGrade.FileSystem, frozenFor), slipped, verdict);
    }

    /// <summary>
    /// A disk whose partitions are in use: the file systems that can be frozen are frozen together, and all of the disk has one instant. Where one of the partitions went on, as FAT can't be
    /// frozen, the disk as a whole is as after a power cut.
    /// </summary>
    private static async Task<TakenSnapshot> TakeDiskAsync(
        AttachedVolume volume, IReadOnlyList<PartInUse> inUse, ControlClient client, SnapshotOptions options, QuietSearch? search, TimeProvider clock, CancellationToken cancellationToken)
    {
        PartInUse[] parts = [.. inUse.Select(part => part with { IsFrozen = options.Freeze && part.CanFreeze })];
        string[] mounted = [.. parts.Where(part => part.IsFrozen).Select(part => part.MountPoint!)];
        await using FreezeSet set = await FreezeSet.StartAsync(mounted, cancellationToken);
        client.Ask(new ControlRequest { Op = "ping" }); // the way to the worker is compiled before anything is frozen
        cancellationToken.ThrowIfCancellationRequested();
        ControlReply activated;
        DateTimeOffset instant;
        bool slipped;
        try
        {
            set.Freeze(options.FreezeLimit);
            long writes = search is null ? 0 : client.Ask(new ControlRequest { Op = "ping" }).WriteCount;
            activated = Activate(client, options.FreezeLimit);
            instant = clock.GetUtcNow();
            slipped = search is not null && activated.WriteCount != writes;
        }
        finally
        {
            set.ThawQuietly();
        }

        set.DemandHeld();
        SnapshotGrade grade = parts.All(part => part.IsFrozen) ? SnapshotGrade.FileSystem : SnapshotGrade.Crash;
        TimeSpan? held = mounted.Length > 0 ? set.LongestHeld : null;
        return new TakenSnapshot(new FilterSnapshot(volume, client, activated.Path!, instant, grade, held) { Parts = parts }, slipped, InstantVerdict.Keep); // writers are asked for volumes that are mounted as one
    }

    private static ControlReply Activate(ControlClient client, TimeSpan limit) =>
        client.Ask(new ControlRequest { Op = "activate", LimitMilliseconds = limit.TotalMilliseconds });

    private static QuenchException TookTooLong(string volumes, TimeSpan limit) => new(
        "SNAP-108",
        $"a snapshot of {volumes} was not there within {limit.TotalSeconds:0.#} s",
        "look at the disks below the volume and below the diff area (`dmesg`, `iostat -x`), then try again, or allow more time with --snapshot-limit")
    {
        Effect = "it was given up; the volume itself is unaffected",
        CanRetry = true,
    };

    /// <summary>A snapshot, whether a write came between the pause that was found, or the freeze, and its instant, and what the applications say to it.</summary>
    private sealed record TakenSnapshot(FilterSnapshot Snapshot, bool Slipped, InstantVerdict Verdict);

    /// <summary>What a worker is asked to get ready.</summary>
    /// <param name="volume">Its volume.</param>
    /// <param name="set">All volumes that get the same instant; none of them may hold the spill file.</param>
    /// <param name="options">The diff area.</param>
    internal static ControlRequest Preparation(AttachedVolume volume, IReadOnlyList<AttachedVolume> set, SnapshotOptions options)
    {
        string? spill = options.SpillFolder is null ? null : Path.GetFullPath(options.SpillFolder);
        long room = spill is null ? 0 : SpillRoom(volume, set, spill);
        long cap = options.CapBytes ?? options.MemoryBytes + room;
        return new ControlRequest
        {
            Op = "prepare",
            MemoryBytes = options.MemoryBytes,
            CapBytes = cap,
            SpillFolder = spill,
            HoldMilliseconds = options.HoldLimit.TotalMilliseconds,
            LimitMilliseconds = options.TakeLimit.TotalMilliseconds / 2, // so that the worker can still say which folder it was that did not answer
        };
    }

    /// <summary>How much a spill file may take when nobody says: a tenth of the volume, but no more than half of what is free in the folder.</summary>
    /// <exception cref="QuenchException">SNAP-107: it lies on the very volume that is being imaged, or is not there.</exception>
    private static long SpillRoom(AttachedVolume volume, IReadOnlyList<AttachedVolume> set, string folder)
    {
        if (NativeFile.TryGetStatus(folder) is not { Kind: FileKind.Directory })
        {
            throw new QuenchException("SNAP-107", $"{folder} is not a folder", "name an existing folder with --diff-area") { ExitCode = 2 };
        }

        if (set.FirstOrDefault(member => member.Holds(folder)) is { } holder)
        {
            throw new QuenchException("SNAP-107", $"the diff area {folder} lies on {holder.Name}, which is being imaged", "choose a folder on another file system with --diff-area")
            {
                ExitCode = 2,
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }

        return Math.Min(volume.Length / DefaultShare, new DriveInfo(folder).AvailableFreeSpace / 2 / set.Count);
    }
}
