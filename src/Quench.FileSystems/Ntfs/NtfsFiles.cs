using Quench.Blocks;
using static Quench.FileSystems.InDoubtException;

namespace Quench.FileSystems.Ntfs;

/// <summary>Finds files of NTFS by their paths, and the clusters of their data. What it takes for proved is in the README of this room.</summary>
internal sealed class NtfsFiles : IFileExtents
{
    /// <inheritdoc/>
    public bool Reads(string type) => type == "ntfs";

    /// <inheritdoc/>
    public async ValueTask<FileFindings> FindAsync(IBlockReader volume, IFolderSelection root, long mostBlocks, CancellationToken cancellationToken)
    {
        byte[] boot = new byte[BootSector.Size];
        await VolumeBytes.ReadAsync(volume, 0, boot, cancellationToken);
        try
        {
            Unless(new BootSector(boot).HasName, "there is no NTFS file system any more");
            new BootSector(boot).Check(volume.Geometry.Length);
            NtfsVolume opened = await NtfsVolume.OpenAsync(volume, boot, cancellationToken);
            Unless(!opened.IsDirty && !opened.HasPendingLog, "the NTFS file system was not let go of in order");
            return await new NtfsFileWalk(volume, opened.RecordsOf(mostBlocks)).RunAsync(root, cancellationToken);
        }
        catch (InDoubtException doubt)
        {
            return FileCollector.GiveUp(volume.Geometry.Length, doubt.Message);
        }
    }
}
