using Quench.Interop.Linux;

namespace Quench.SystemTests.Harness;

/// <summary>An image file with a file system in it: checked with the file system's own tool, and mounted for a look inside.</summary>
internal sealed class RestoredImage : IAsyncDisposable
{
    private const string XfsOptions = "loop,nouuid"; // its original is mounted too

    private readonly string _mountPoint;

    private RestoredImage(string mountPoint) => _mountPoint = mountPoint;

    internal string this[string name] => Path.Combine(_mountPoint, name);

    /// <summary>Demands that the file system's own checker finds nothing at all to say against an image or a device.</summary>
    /// <param name="path">What to check; it is not written.</param>
    /// <param name="kind">Which checker.</param>
    internal static async Task DemandCleanAsync(string path, VolumeKind kind)
    {
        ProcessResult result = kind switch
        {
            VolumeKind.Ext4 => await Tool.TryRunAsync("e2fsck", "-fn", path),
            VolumeKind.Xfs => await Tool.TryRunAsync("xfs_repair", "-n", path),
            VolumeKind.Btrfs => await Tool.TryRunAsync("btrfs", "check", "--readonly", "--check-data-csum", path),
            _ => new ProcessResult("", 0, "", ""),
        };
        if (result.ExitCode != 0)
        {
            throw new InvalidOperationException(result.ToString());
        }
    }

    /// <summary>Lets the journal do its work, as the next mount after a power cut does.</summary>
    internal static async Task ReplayJournalAsync(string image, VolumeKind kind, string mountPoint)
    {
        await Tool.RunAsync("mount", "-o", kind == VolumeKind.Xfs ? XfsOptions : "loop", image, mountPoint);
        await Tool.RunAsync("umount", mountPoint);
    }

    /// <summary>Mounts an image as it is: read-only, no journal replayed.</summary>
    internal static async Task<RestoredImage> MountAsync(string image, VolumeKind kind, string mountPoint)
    {
        string options = kind switch
        {
            VolumeKind.Xfs => XfsOptions + ",ro,norecovery",
            VolumeKind.Btrfs => "loop,ro,rescue=nologreplay", // its original must not be mounted: the two have one identifier
            _ => "loop,ro,noload",
        };
        await Tool.RunAsync("mount", "-o", options, image, mountPoint);
        return new RestoredImage(mountPoint);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Mounts.Read().Any(mount => mount.MountPoint == _mountPoint))
        {
            await Tool.RunAsync("umount", _mountPoint);
        }
    }
}
