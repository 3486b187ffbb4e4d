using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>Finds files by their paths, and the blocks that hold nothing but their data, on one family of file systems.</summary>
/// <remarks>
/// It only reads, and survives any bytes at all. What it answers may be thrown away by the caller, so it answers only what is proved: each block lies in the data of one regular file that
/// is wanted under each of its names, and in nothing else that was seen. What is in doubt is left out of the answer, with a sentence in <see cref="FileFindings.Doubts"/>.
/// </remarks>
public interface IFileExtents
{
    /// <summary>Whether it reads file systems of this type.</summary>
    /// <param name="type">As <see cref="FileSystemFacts.Type"/> names it.</param>
    bool Reads(string type);

    /// <summary>Walks the folders from the root on, as far as something below them can be wanted.</summary>
    /// <param name="volume">Only read. Must not change meanwhile. Its map of used blocks has been drawn and is not in doubt.</param>
    /// <param name="root">What is wanted.</param>
    /// <param name="mostBlocks">How many blocks of folders and of what leads to files may be read; the search is given up beyond that, and nothing is found.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <exception cref="IOException">The medium failed.</exception>
    ValueTask<FileFindings> FindAsync(IBlockReader volume, IFolderSelection root, long mostBlocks, CancellationToken cancellationToken);
}
