using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Providers.Filter;

/// <summary>The volumes that are attached on this machine now.</summary>
public static class FilterVolumes
{
    /// <summary>All of them, by name.</summary>
    public static IReadOnlyList<AttachedVolume> List() => [.. FilterDirectory.All().Select(TryRead).OfType<AttachedVolume>()];

    /// <summary>The attached volume that a user means.</summary>
    /// <param name="what">Its name, its device, its mount point, or the origin below it.</param>
    /// <returns>Null when it is none of those of any.</returns>
    public static AttachedVolume? Find(string what)
    {
        string full = Path.GetFullPath(what).TrimEnd('/');
        IReadOnlyList<AttachedVolume> volumes = List();
        return volumes.FirstOrDefault(volume => volume.Name == what)
            ?? volumes.FirstOrDefault(volume => volume.Device == full || volume.Origin == full || MountPointsOf(volume.Device).Contains(full));
    }

    /// <summary>Whether an attachment's worker is alive: it holds its lock for its whole life.</summary>
    internal static bool IsServed(FilterDirectory directory)
    {
        using SafeFileHandle mark = NativeFile.Open(directory.Lock, OpenMode.ReadWrite);
        return !AdvisoryLock.TryTake(mark);
    }

    internal static AttachedVolume? TryRead(FilterDirectory directory)
    {
        if (!File.Exists(directory.State) || !File.Exists(directory.Lock))
        {
            return null;
        }

        AttachmentRecord? record = JsonSerializer.Deserialize(File.ReadAllText(directory.State), ControlJson.Default.AttachmentRecord);
        return record is null
            ? null
            : new AttachedVolume(
                record.Name, record.Origin, record.Device, record.Length, MountPointsOf(record.Device).FirstOrDefault(),
                IsServed(directory) ? AttachmentState.Serving : AttachmentState.Dead);
    }

    /// <summary>Where a device is mounted. By number, and by source for file systems that show numbers of their own, as btrfs does.</summary>
    private static IEnumerable<string> MountPointsOf(string device) =>
        NativeFile.TryGetStatus(device) is { } status
            ? Mounts.Read().Where(mount => mount.Device == status.SpecialDevice || mount.Source == device).Select(mount => mount.MountPoint)
            : [];
}
