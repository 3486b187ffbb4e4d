using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.Exports.Mounting;
using Quench.Snapshots.Coordination.Restoring;
using Quench.Vault;

namespace Quench.Imaging.Recovery.Files;

/// <summary>The files of one file system in a point, for this process alone. The point never changes: what a mount writes lies in a file that has no name any more.</summary>
public sealed class PointFiles : IAsyncDisposable
{
    private const int OverlayBlock = 64 * 1024;

    private readonly Overlay _overlay;
    private readonly MountedImage _mounted;

    private PointFiles(Overlay overlay, MountedImage mounted, string volume)
    {
        _overlay = overlay;
        _mounted = mounted;
        Volume = volume;
    }

    /// <summary>The volume's name.</summary>
    public string Volume { get; }

    /// <summary>Mounts.</summary>
    /// <param name="vault">The vault; stays open until this is disposed.</param>
    /// <param name="volume">The volume.</param>
    /// <param name="offset">Where on it the file system begins: 0, or where a partition does.</param>
    /// <param name="temporary">An existing folder for what must have a name meanwhile.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="QuenchException">RST-137: there is no file system at that place; EXPORT-130, EXPORT-131: it can't be mounted.</exception>
    public static async Task<PointFiles> OpenAsync(BackupVault vault, VolumeRecord volume, long offset, string temporary, CancellationToken cancellationToken)
    {
        MountRequest request = RequestFor(volume, offset);
        string file = Path.Combine(temporary, $"quench-overlay-{Guid.NewGuid():N}");
        IBlockDevice top = ImageFile.CreateNew(file, volume.Length, direct: false);
        File.Delete(file); // so that nobody has to later
        Overlay overlay = new(vault.OpenImage(volume), top, OverlayBlock);
        try
        {
            return new PointFiles(overlay, await MountedImage.MountAsync(overlay, request, temporary, cancellationToken), volume.Name);
        }
        catch
        {
            await overlay.DisposeAsync();
            throw;
        }
    }

    /// <summary>Where a folder of the file system is for this process.</summary>
    /// <param name="path">Its path inside the file system. No link is followed on the way: one would lead to this machine's own files.</param>
    /// <returns>Null when there is no such folder.</returns>
    public string? Find(string path)
    {
        string found = _mounted.Path;
        foreach (string name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            found = $"{found}/{name}";
            if (name is "." or ".." || !TargetFolder.IsRealFolder(found))
            {
                return null;
            }
        }

        return found;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _mounted.DisposeAsync();
        await _overlay.DisposeAsync();
    }

    private static MountRequest RequestFor(VolumeRecord volume, long offset)
    {
        PartitionRecord? partition = volume.Disk?.Partitions.FirstOrDefault(part => part.Offset == offset);
        string type = partition?.FileSystem ?? (offset == 0 ? volume.FileSystem : "");
        return type.Length == 0
            ? throw new QuenchException("RST-137", $"the image of {volume.Name} has no known file system at byte {offset}", "restore the whole volume instead")
            : new MountRequest(KernelTypeOf(type)) { Offset = offset, Length = partition?.Length ?? 0 };
    }

    /// <summary>What the kernel calls it.</summary>
    private static string KernelTypeOf(string type) => type switch
    {
        "fat12" or "fat16" or "fat32" or "fat" => "vfat",
        "ntfs" => "ntfs3",
        "ext2" or "ext3" => "ext4",
        _ => type,
    };
}
