using Quench.Blocks;

namespace Quench.FileSystems;

/// <summary>Files that were looked for, and where their data lie.</summary>
/// <param name="Data">The blocks that hold nothing but their data, whole ones only. The caller's.</param>
/// <param name="Files">The files that have such blocks, in the order in which they were met: at most <see cref="MostNamed"/> of them, further ones are in the sums only.</param>
/// <param name="Sums">By rule: how many files, and bytes of their blocks.</param>
/// <param name="Doubts">What was wanted and is not in the answer, in sentences that each name a file or a folder: at most <see cref="MostDoubts"/> of them.</param>
/// <param name="DoubtCount">How many there are in all.</param>
public sealed record FileFindings(
    UsedBlocks Data, IReadOnlyList<FoundFile> Files, IReadOnlyDictionary<int, FileSum> Sums, IReadOnlyList<string> Doubts, long DoubtCount)
{
    /// <summary>The most files that are named.</summary>
    public const int MostNamed = 1000;

    /// <summary>The most doubts that are told.</summary>
    public const int MostDoubts = 16;

    /// <summary>Why nothing was found although something may be there, in one sentence; null when the whole search was made.</summary>
    public string? GivenUp { get; init; }
}

/// <summary>A file that was found.</summary>
/// <param name="Rule">The rule that wants it.</param>
/// <param name="Path">Its path from the root of its file system on; of several, the first that was met.</param>
/// <param name="Partition">The number of the partition that its file system lies on; null when it has the volume to itself.</param>
/// <param name="Length">Bytes of the file.</param>
/// <param name="Bytes">Bytes of its blocks in the answer.</param>
public sealed record FoundFile(int Rule, string Path, int? Partition, long Length, long Bytes);

/// <summary>How much one rule found.</summary>
/// <param name="Files">Files.</param>
/// <param name="Bytes">Bytes of their blocks.</param>
public readonly record struct FileSum(long Files, long Bytes);
