using Quench.Blocks;

namespace Quench.FileSystems.Xfs.Files;

/// <summary>Finds files of XFS by their paths, and the blocks of their data. What it takes for proved is in the README of the room above.</summary>
internal sealed class XfsFiles : IFileExtents
{
    /// <inheritdoc/>
    public bool Reads(string type) => type == "xfs";

    /// <inheritdoc/>
    public async ValueTask<FileFindings> FindAsync(IBlockReader volume, IFolderSelection root, long mostBlocks, CancellationToken cancellationToken)
    {
        try
        {
            XfsVolume opened = await XfsVolume.OpenAsync(volume, mostBlocks, cancellationToken);
            return await new XfsFileWalk(opened, volume.Geometry.Length).RunAsync(opened.Numbers.Root, root, cancellationToken);
        }
        catch (InDoubtException doubt)
        {
            return FileCollector.GiveUp(volume.Geometry.Length, doubt.Message);
        }
    }
}
