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

    /// <summary>What the volume holds then, for a sentence: "an XFS file system".</summary>
    string Tenant { get; }

    /// <summary>Looks at a volume.</summary>
    /// <param name="volume">Only read. Must not change meanwhile.</param>
    /// <param name="condition">In what condition it was at the moment that it shows.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <returns>Null when the volume is not of this family; otherwise what was found.</returns>
    ValueTask<VolumeAnalysis?> TryAnalyseAsync(IBlockReader volume, VolumeCondition condition, CancellationToken cancellationToken);
}
