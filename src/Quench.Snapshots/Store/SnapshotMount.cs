using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots.Providers.Filter;

namespace Quench.Snapshots.Store;

/// <summary>A persistent snapshot, mounted at a folder for reading, beside the volume that it is of. The kernel is told to read it as it is: no journal is replayed.</summary>
public sealed class SnapshotMount
{
    private SnapshotMount(AttachedVolume volume, KeptSnapshot snapshot, string folder) => (Volume, Snapshot, Folder) = (volume, snapshot, folder);

    /// <summary>The attached volume.</summary>
    public AttachedVolume Volume { get; }

    /// <summary>Its snapshot.</summary>
    public KeptSnapshot Snapshot { get; }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    /// <summary>Exposes the snapshot as a device, unless it is one already, and mounts it.</summary>
    /// <param name="volume">Attached.</param>
    /// <param name="snapshot">One of its snapshots.</param>
    /// <param name="fileSystem">What is on it, as our analysers call it; null when that is not known.</param>
    /// <param name="folder">There, and empty.</param>
    /// <exception cref="QuenchException">SNAP-173: it can't be mounted there. Nothing is exposed then that was not before.</exception>
    public static SnapshotMount Make(AttachedVolume volume, KeptSnapshot snapshot, string? fileSystem, string folder)
    {
        string place = Path.GetFullPath(folder);
        if (!Directory.Exists(place) || Directory.EnumerateFileSystemEntries(place).Any())
        {
            throw Refuse(snapshot, place, "it is not an empty folder", "make the folder first; it has to be empty, because the snapshot hides what is in it");
        }

        (string type, string options) = How(snapshot, fileSystem, place);
        string device = snapshot.Device ?? PersistentSnapshots.Expose(volume, snapshot.Number);
        try
        {
            FileSystemMount.MountReadOnly(device, place, type, options);
            return new SnapshotMount(volume, snapshot, place);
        }
        catch (LinuxErrorException failure)
        {
            if (snapshot.Device is null)
            {
                PersistentSnapshots.Unexpose(volume, snapshot.Number);
            }

            throw Refuse(snapshot, place, failure.Message, "expose it with `quench snapshot expose` and look at the device");
        }
    }

    /// <summary>Unmounts it. Its device stays.</summary>
    /// <returns>False when somebody works in it.</returns>
    public bool TryUnmount() => FileSystemMount.TryUnmount(Folder);

    private static (string Type, string Options) How(KeptSnapshot snapshot, string? fileSystem, string folder) => fileSystem switch
    {
        "ext2" => ("ext4", ""),
        "ext3" or "ext4" => ("ext4", "noload"),
        "xfs" => ("xfs", "norecovery,nouuid"),
        "btrfs" => throw Refuse(snapshot, folder, "the kernel does not mount two copies of one btrfs", "serve it with `quench serve snapshot`, or clone it, and mount that on another machine"),
        { Length: > 0 } other => (other, ""),
        _ => throw Refuse(snapshot, folder, "no file system that is known is on it", "expose it with `quench snapshot expose` and look at the device"),
    };

    private static QuenchException Refuse(KeptSnapshot snapshot, string folder, string why, string next) =>
        new("SNAP-173", $"snapshot {snapshot.Number} of {snapshot.Volume} can't be mounted at {folder}: {why}", next) { Effect = "the snapshot and its volume are unaffected" };
}
