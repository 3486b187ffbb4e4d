using System.Text.Json;
using Quench.Blocks;
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

    /// <summary>What a volume remembers for the next backup; null when its worker does not answer.</summary>
    public static VolumeTracking? GetTracking(AttachedVolume volume)
    {
        using ControlClient? client = ControlClient.TryConnect(FilterDirectory.For(volume.Name));
        if (client is null)
        {
            return null;
        }

        try
        {
            ControlReply reply = client.Ask(new ControlRequest { Op = "tracking" });
            return new VolumeTracking(reply.IsTracking, reply.Doubt, reply.Point, reply.ChangedBytes, reply.DoubtfulBytes);
        }
        catch (QuenchException)
        {
            return null; // it is ending
        }
    }

    /// <summary>How a volume's worker is doing; null when none answers.</summary>
    public static VolumeSupervision? GetSupervision(AttachedVolume volume)
    {
        using ControlClient? client = ControlClient.TryConnect(FilterDirectory.For(volume.Name));
        try
        {
            return client?.Ask(new ControlRequest { Op = "supervision" }).Supervision is { } reply
                ? new VolumeSupervision(
                    reply.IsSupervised, reply.Worker, reply.HasStandby, reply.Restarts, reply.Hangs, reply.Upgrades, reply.LastChange, reply.LastChangeTime,
                    reply.PassThrough, reply.PassThroughSince, reply.NextTry)
                : null;
        }
        catch (QuenchException)
        {
            return null; // it is ending, or another one is about to take over
        }
    }

    /// <summary>What is attached under a name; null when nothing is, or when it is being detached this very moment.</summary>
    internal static AttachedVolume? TryRead(FilterDirectory directory)
    {
        AttachmentRecord? record;
        try
        {
            record = JsonSerializer.Deserialize(File.ReadAllText(directory.State), ControlJson.Default.AttachmentRecord);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }

        return record is null
            ? null
            : new AttachedVolume(
                record.Name, record.Origin, record.Device, record.Length, MountPointsOf(record.Device).FirstOrDefault(),
                IsServed(directory) ? AttachmentState.Serving : AttachmentState.Dead);
    }

    /// <summary>Whether the attachment's worker is alive: a dead one's door does not open.</summary>
    private static bool IsServed(FilterDirectory directory)
    {
        using ControlClient? client = ControlClient.TryConnect(directory);
        return client is not null;
    }

    /// <summary>Where a device is mounted. By number, and by source for file systems that show numbers of their own, as btrfs does.</summary>
    private static IEnumerable<string> MountPointsOf(string device) =>
        NativeFile.TryGetStatus(device) is { } status
            ? Mounts.Read().Where(mount => mount.Device == status.SpecialDevice || mount.Source == device).Select(mount => mount.MountPoint)
            : [];
}
