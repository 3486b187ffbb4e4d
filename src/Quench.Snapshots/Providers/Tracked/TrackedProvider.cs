using System.Globalization;
using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Interop.Block;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Tracked;

/// <summary>
/// Images a device that is mounted and that nobody prepared for it: an eBPF program marks what is written, passes copy it, and the file system is frozen only
/// for the rest. It needs root, Linux 5.12 with BTF, and a file system that can be frozen.
/// </summary>
public static class TrackedProvider
{
    /// <summary>Its name in points.</summary>
    public const string Name = "tracked";

    private static readonly HashSet<string> s_fileSystems = ["ext2", "ext3", "ext4", "xfs", BtrfsDevices.Type]; // frozen as a whole

    /// <summary>Finds the mounted device that a path means: the device itself, a place where it is mounted, or a disk of which partitions are mounted.</summary>
    /// <returns>Null when it is not mounted, or no file system on it can be held here, or something else than a mount holds one of its partitions.</returns>
    /// <exception cref="QuenchException">SNAP-182: a file system on several devices.</exception>
    public static MountedVolume? Find(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        IReadOnlyList<MountEntry> mounts = Mounts.Read();
        DeviceNumber? named = NativeFile.TryGetStatus(full) is { Kind: FileKind.BlockDevice } status ? status.SpecialDevice : null;
        if (named is { } member)
        {
            BtrfsDevices.DemandSingle(member, full); // also one that the mount does not name
        }

        MountEntry? mount = named is { } device
            ? mounts.FirstOrDefault(one => DeviceOf(one) == device)
            : mounts.LastOrDefault(one => one.MountPoint == full);
        if (mount is null && named is { } disk)
        {
            return FindDisk(full, disk, mounts);
        }

        if (mount is null || !s_fileSystems.Contains(mount.Type) || DeviceOf(mount) is not { } number || !Directory.Exists($"/sys/dev/block/{number}"))
        {
            return null;
        }

        // A mount may call its device /dev/root, or by a path of another namespace; sysfs has its true name.
        string source = named is null ? "/dev/" + Path.GetFileName(BlockDevice.FolderOf(number)) : full;
        BtrfsDevices.DemandSingle(number, source);
        bool isRoot = mounts.Any(one => one.Device == mount.Device && one.MountPoint == "/");
        return NativeFile.TryGetStatus(source) is { Kind: FileKind.BlockDevice } found && found.SpecialDevice == number
            ? new MountedVolume(Path.GetFileName(source), source, mount.MountPoint, mount.Type, isRoot)
            : null;
    }

    private static MountedVolume? FindDisk(string device, DeviceNumber number, IReadOnlyList<MountEntry> mounts)
    {
        PartInUse[] parts = [.. PartInUse.Of(device).Select(part => part with { IsFrozen = part.CanFreeze })];
        if (!parts.Any(part => part.IsFrozen) || parts.Any(part => part.MountPoint is null))
        {
            return null;
        }

        DeviceNumber[] partitions = [.. DiskPlace.PartitionsOf(number)];
        foreach (DeviceNumber partition in partitions)
        {
            BtrfsDevices.DemandSingle(partition, "/dev/" + Path.GetFileName(BlockDevice.FolderOf(partition)));
        }

        bool hasRoot = mounts.Any(mount => mount.MountPoint == "/" && DeviceOf(mount) is { } root && partitions.Contains(root));
        return new MountedVolume(Path.GetFileName(device), device, parts.First(part => part.IsFrozen).MountPoint!, "", hasRoot) { Parts = parts };
    }

    /// <summary>The device of a mount; null when its source is none. A btrfs has a device number of its own, which is not its device's.</summary>
    internal static DeviceNumber? DeviceOf(MountEntry mount) =>
        mount.Type != BtrfsDevices.Type ? mount.Device
        : NativeFile.TryGetStatus(mount.Source) is { Kind: FileKind.BlockDevice } source && BtrfsDevices.Hold(source.SpecialDevice) ? source.SpecialDevice
        : null;

    /// <summary>Starts to track a volume; its instant comes with <see cref="IConvergingSnapshot.HoldAsync"/>.</summary>
    /// <param name="volume">From <see cref="Find"/>.</param>
    /// <param name="options">How it may be held.</param>
    /// <param name="clock">Names the instant, and times the passes.</param>
    /// <exception cref="QuenchException">SNAP-180 to SNAP-182: its writes can't be tracked; SNAP-185: it is the machine's root.</exception>
    public static IConvergingSnapshot Start(MountedVolume volume, TrackedOptions options, TimeProvider clock)
    {
        DemandMayFreeze(volume, options);
        return StartTracking(volume, options, clock);
    }

    /// <summary>Starts to track several volumes that are to have one instant.</summary>
    /// <param name="volumes">From <see cref="Find"/>, each once.</param>
    /// <param name="options">How they may be held; the memory for the rest is for all of them together.</param>
    /// <param name="clock">Names the instant, and times the passes.</param>
    /// <exception cref="QuenchException">As <see cref="Start"/>; nothing has been started then.</exception>
    public static async ValueTask<IConvergingSet> StartSetAsync(IReadOnlyList<MountedVolume> volumes, TrackedOptions options, TimeProvider clock)
    {
        foreach (MountedVolume volume in volumes)
        {
            DemandMayFreeze(volume, options);
        }

        TrackedOptions each = options with { Limits = options.Limits with { HeldBytes = options.Limits.HeldBytes / volumes.Count } };
        List<TrackedSnapshot> members = [];
        try
        {
            foreach (MountedVolume volume in volumes)
            {
                members.Add(StartTracking(volume, each, clock));
            }

            return new TrackedSet(members, options, clock);
        }
        catch
        {
            foreach (TrackedSnapshot member in members)
            {
                await member.DisposeAsync();
            }

            throw;
        }
    }

    private static void DemandMayFreeze(MountedVolume volume, TrackedOptions options)
    {
        if (volume.IsRoot && !options.FreezeRoot)
        {
            throw new QuenchException(
                "SNAP-185",
                $"{volume.Device} holds this machine's own root file system, which would be frozen for a moment",
                string.Create(CultureInfo.InvariantCulture, $"say that it may be with --freeze-root, for a point of file-system grade; a program that must write to go on waits until it is thawed, {options.FreezeLimit.TotalSeconds:0.#} seconds at most. ")
                + "Without a freeze it has no instant while the machine runs, so no grade at all: image it at rest from another system, or, of a virtual machine, its disk from the host (`quench attach` there; crash grade)")
            {
                Effect = "nothing was read or written",
            };
        }
    }

    private static TrackedSnapshot StartTracking(MountedVolume volume, TrackedOptions options, TimeProvider clock)
    {
        DeviceTracker tracker = DeviceTracker.Start(volume.Device);
        StandingTracker? standing = null;
        try
        {
            standing = OpenStanding(volume, options, out string whyNot);
            IBlockReader live = RawDevice.Open(volume.Device, DeviceAccess.Read, exclusive: false);
            return new TrackedSnapshot(volume, options, tracker, live, clock) { Standing = standing, WhyNotStanding = whyNot };
        }
        catch
        {
            standing?.Dispose();
            tracker.Dispose();
            throw;
        }
    }

    private static StandingTracker? OpenStanding(MountedVolume volume, TrackedOptions options, out string whyNot)
    {
        if (options.TracksChanges)
        {
            return StandingTracker.TryOpen(volume.Device, out whyNot);
        }

        StandingTracker.Remove(volume.Device);
        whyNot = "changes are not tracked between backups (--no-track)";
        return null;
    }
}
