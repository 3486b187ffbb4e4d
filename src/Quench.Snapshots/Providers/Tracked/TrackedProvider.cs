using Quench.Blocks;
using Quench.Blocks.Devices;
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

    private static readonly HashSet<string> s_fileSystems = ["ext2", "ext3", "ext4", "xfs"]; // on one device each, and frozen as a whole

    /// <summary>Finds the mounted device that a path means: the device itself or a place where it is mounted.</summary>
    /// <returns>Null when it is not mounted, or its file system is none that can be held here.</returns>
    public static MountedVolume? Find(string path)
    {
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        IReadOnlyList<MountEntry> mounts = Mounts.Read();
        FileStatus? status = NativeFile.TryGetStatus(full);
        MountEntry? mount = status is { Kind: FileKind.BlockDevice } device
            ? mounts.FirstOrDefault(one => one.Device == device.SpecialDevice)
            : mounts.LastOrDefault(one => one.MountPoint == full);
        if (mount is null || !s_fileSystems.Contains(mount.Type))
        {
            return null;
        }

        // A mount may call its device /dev/root, or by a path of another namespace; sysfs has its true name.
        string source = status is { Kind: FileKind.BlockDevice } ? full
            : "/dev/" + Path.GetFileName(Directory.ResolveLinkTarget($"/sys/dev/block/{mount.Device}", returnFinalTarget: true)?.FullName ?? "");
        return NativeFile.TryGetStatus(source) is { Kind: FileKind.BlockDevice } found && found.SpecialDevice == mount.Device
            ? new MountedVolume(Path.GetFileName(source), source, mount.MountPoint, mount.Type, mounts.Any(one => one.Device == mount.Device && one.MountPoint == "/"))
            : null;
    }

    /// <summary>Starts to track a volume; its instant comes with <see cref="IConvergingSnapshot.HoldAsync"/>.</summary>
    /// <param name="volume">From <see cref="Find"/>.</param>
    /// <param name="options">How it may be held.</param>
    /// <param name="clock">Names the instant, and times the passes.</param>
    /// <exception cref="QuenchException">SNAP-180 to SNAP-182: its writes can't be tracked; SNAP-185: it is the machine's root.</exception>
    public static IConvergingSnapshot Start(MountedVolume volume, TrackedOptions options, TimeProvider clock)
    {
        if (volume.IsRoot && !options.FreezeRoot)
        {
            throw new QuenchException(
                "SNAP-185",
                $"{volume.Device} holds this machine's own root file system, which would be frozen for a moment",
                "say that it may be with --freeze-root; a program that must write to go on waits until it is thawed, 5 seconds at most")
            {
                Effect = "nothing was read or written",
            };
        }

        DeviceTracker tracker = DeviceTracker.Start(volume.Device);
        try
        {
            return new TrackedSnapshot(volume, options, tracker, RawDevice.Open(volume.Device, DeviceAccess.Read, exclusive: false), clock);
        }
        catch
        {
            tracker.Dispose();
            throw;
        }
    }
}
