using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>Which blocks of a volume are in use, for one family of file systems.</summary>
/// <remarks>
/// An analyser only reads. It bounds its memory by the bitmap it answers, survives any bytes at all, and when in doubt says so:
/// <see cref="VolumeAnalysis.Doubt"/> set, everything in use.
/// </remarks>
public interface IFileSystemAnalyser
{
    /// <summary>The family: "ext".</summary>
    string Name { get; }

    /// <summary>Looks at a volume.</summary>
    /// <returns>Null when the volume is not of this family; otherwise what was found.</returns>
    ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, CancellationToken cancellationToken);
}
