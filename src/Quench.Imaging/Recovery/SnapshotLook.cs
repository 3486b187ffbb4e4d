using Quench.FileSystems;
using Quench.Snapshots.Providers.Filter;
using Quench.Snapshots.Store;

namespace Quench.Imaging.Recovery;

/// <summary>What lies on a persistent snapshot.</summary>
public static class SnapshotLook
{
    /// <summary>The type of its file system; null when none is recognised.</summary>
    /// <param name="volume">Attached.</param>
    /// <param name="snapshot">One of its snapshots.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<string?> FileSystemOfAsync(AttachedVolume volume, KeptSnapshot snapshot, CancellationToken cancellationToken)
    {
        await using OpenSnapshot open = PersistentSnapshots.Open(volume, snapshot.Number);
        return (await Recogniser.AnalyseAsync(open.Reader, VolumeCondition.Frozen, cancellationToken)).FileSystem?.Type;
    }
}
