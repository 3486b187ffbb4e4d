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
    /// <exception cref="QuenchException">SNAP-101 to SNAP-109 and SNAP-120 to SNAP-122: no snapshot was taken; the volume goes on.</exception>
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

    /// <summary>Takes one within the limit. What takes longer is hung up on: the worker lets go of it, and the guard thaws.</summary>
    private static async Task<TakenSnapshot> TakeInTimeAsync(
        AttachedVolume volume, SnapshotOptions options, QuietSearch? search, TimeProvider clock, CancellationToken cancellationToken)
    {
        TimeSpan limit = options.TakeLimit < SnapshotTimes.LongestTakeLimit ? options.TakeLimit : SnapshotTimes.LongestTakeLimit;
        ControlClient client = ControlClient.Connect(volume.Name);
        try
        {
            Task<TakenSnapshot> taking = Task.Run(() => TakeAsync(volume, client, options with { TakeLimit = limit }, search, clock, cancellationToken), CancellationToken.None);
            using CancellationTokenSource inTime = new();
            TimeSpan withWriters = options.Freeze && volume.MountPoint is not null && options.Writers is { } writers ? limit + writers.LongestHold : limit;
            if (await Task.WhenAny(taking, Task.Delay(withWriters, clock, inTime.Token)) != taking)
            {
                _ = DiscardAsync(taking);
                throw TookTooLong(volume, limit);
            }

            await inTime.CancelAsync();
            return await taking;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static async Task DiscardAsync(Task<TakenSnapshot> late)
    {
        try
        {
            await (await late).Snapshot.DisposeAsync();
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
        client.Ask(Preparation(volume, options));
        TakenSnapshot taken = options.Freeze && volume.MountPoint is { } mountPoint
            ? await TakeFrozenAsync(volume, mountPoint, client, options, search, clock, cancellationToken)
            : volume.MountPoint is null && PartInUse.Of(volume.Device) is { Count: > 0 } parts
            ? await TakeDiskAsync(volume, parts, client, options, search, clock, cancellationToken)
            : TakeUnfrozen(volume, client, options, search, clock);
        taken.Snapshot.Times = new SnapshotTimes
        {
            Taken = clock.GetElapsedTime(since),
            TakeLimit = options.TakeLimit,
            SaveWaitLimit = SpillSettings.SaveWaitLimit,
            HandlingLimit = SpillSettings.LongestHandling,
            HoldLimit = options.HoldLimit,
            IdleLimit = SpillSettings.LongestHandling,
        };
        return taken;
    }

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

    private static QuenchException TookTooLong(AttachedVolume volume, TimeSpan limit) => new(
        "SNAP-108",
        $"a snapshot of {volume.Name} was not there within {limit.TotalSeconds:0.#} s",
        "look at the disks below the volume and below the diff area (`dmesg`, `iostat -x`), then try again, or allow more time with --snapshot-limit")
    {
        Effect = "it was given up; the volume itself is unaffected",
        CanRetry = true,
    };

    /// <summary>A snapshot, whether a write came between the pause that was found, or the freeze, and its instant, and what the applications say to it.</summary>
    private sealed record TakenSnapshot(FilterSnapshot Snapshot, bool Slipped, InstantVerdict Verdict);

    private static ControlRequest Preparation(AttachedVolume volume, SnapshotOptions options)
    {
        string? spill = options.SpillFolder is null ? null : Path.GetFullPath(options.SpillFolder);
        long room = spill is null ? 0 : SpillRoom(volume, spill);
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
    private static long SpillRoom(AttachedVolume volume, string folder)
    {
        if (NativeFile.TryGetStatus(folder) is not { Kind: FileKind.Directory })
        {
            throw new QuenchException("SNAP-107", $"{folder} is not a folder", "name an existing folder with --diff-area") { ExitCode = 2 };
        }

        if (volume.Holds(folder))
        {
            throw new QuenchException("SNAP-107", $"the diff area {folder} lies on the volume that is being imaged", "choose a folder on another file system with --diff-area")
            {
                ExitCode = 2,
                Effect = "no snapshot was taken; the volume itself is unaffected",
            };
        }

        return Math.Min(volume.Length / DefaultShare, new DriveInfo(folder).AvailableFreeSpace / 2);
    }
}
