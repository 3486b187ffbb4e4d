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
    /// <param name="options">The diff area and the freeze.</param>
    /// <param name="clock">Names the instant.</param>
    /// <param name="cancellationToken">Gives up before the instant; nothing stays behind.</param>
    /// <exception cref="QuenchException">SNAP-101 to SNAP-107 and SNAP-120 to SNAP-122: no snapshot was taken; the volume goes on.</exception>
    public static async Task<ISnapshot> TakeAsync(AttachedVolume volume, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        FilterDirectory directory = FilterDirectory.For(volume.Name);
        ControlClient client = ControlClient.TryConnect(directory)
            ?? throw new QuenchException("SNAP-131", $"the worker of volume {volume.Name} does not answer", $"detach {volume.Name} and attach it again");
        try
        {
            client.Ask(Preparation(volume, options));
            return options.Freeze && volume.MountPoint is { } mountPoint
                ? await TakeFrozenAsync(volume, mountPoint, client, options, clock, cancellationToken)
                : await OpenAsync(volume, client, Activate(client, s_drainLimit), clock.GetUtcNow(), SnapshotGrade.Crash, null);
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    private static async Task<ISnapshot> TakeFrozenAsync(
        AttachedVolume volume, string mountPoint, ControlClient client, SnapshotOptions options, TimeProvider clock, CancellationToken cancellationToken)
    {
        using ThawGuard guard = await ThawGuard.StartAsync(mountPoint, cancellationToken);
        client.Ask(new ControlRequest { Op = "ping" }); // the way to the worker is compiled before the file system is frozen
        cancellationToken.ThrowIfCancellationRequested();
        ControlReply activated;
        DateTimeOffset instant;
        TimeSpan frozenFor;
        using (FrozenFileSystem frozen = FrozenFileSystem.Freeze(mountPoint, guard, options.FreezeLimit))
        {
            activated = Activate(client, options.FreezeLimit);
            instant = clock.GetUtcNow();
            frozenFor = frozen.Thaw();
        }

        return await OpenAsync(volume, client, activated, instant, SnapshotGrade.FileSystem, frozenFor);
    }

    private static ControlReply Activate(ControlClient client, TimeSpan limit) =>
        client.Ask(new ControlRequest { Op = "activate", LimitMilliseconds = limit.TotalMilliseconds });

    private static Task<ISnapshot> OpenAsync(
        AttachedVolume volume, ControlClient client, ControlReply activated, DateTimeOffset instant, SnapshotGrade grade, TimeSpan? frozenFor)
    {
        FilterSnapshot snapshot = new(volume, client, activated.Path!, instant, grade, frozenFor);
        return Task.FromResult<ISnapshot>(snapshot);
    }

    private static ControlRequest Preparation(AttachedVolume volume, SnapshotOptions options)
    {
        string? spill = options.SpillFolder is null ? null : Path.GetFullPath(options.SpillFolder);
        long room = spill is null ? 0 : SpillRoom(volume, spill);
        long cap = options.CapBytes ?? options.MemoryBytes + room;
        return new ControlRequest { Op = "prepare", MemoryBytes = options.MemoryBytes, CapBytes = cap, SpillFolder = spill };
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
