using Quench.Blocks;
using Quench.Blocks.Devices;
using Quench.FileSystems.Ext4;
using Quench.FileSystems.Ntfs;
using Quench.FileSystems.Xfs.Files;

namespace Quench.FileSystems;

/// <summary>Looks for files on a volume, or on each partition of a disk, by the reader of its file system.</summary>
public static class FileSearch
{
    private static readonly IFileExtents[] s_readers = [new Ext4Files(), new XfsFiles(), new NtfsFiles()];

    /// <summary>The file systems whose files can be found, for a sentence.</summary>
    public static string Known => "ext2, ext3, ext4, XFS and NTFS";

    /// <summary>Whether files can be found on a file system of this type.</summary>
    /// <param name="type">As <see cref="FileSystemFacts.Type"/> names it.</param>
    public static bool Reads(string type) => s_readers.Any(reader => reader.Reads(type));

    /// <summary>Looks for files.</summary>
    /// <param name="volume">Only read. Must not change meanwhile.</param>
    /// <param name="analysis">What is on it. Where its map is in doubt nothing is looked for.</param>
    /// <param name="wanted">What to look for.</param>
    /// <param name="mostBlocks">As in <see cref="IFileExtents.FindAsync"/>, for each file system.</param>
    /// <param name="cancellationToken">Gives up between reads.</param>
    /// <returns>One answer for each file system on which anything is wanted, in order. Content alone never makes it throw.</returns>
    /// <exception cref="IOException">The medium failed.</exception>
    public static async ValueTask<IReadOnlyList<SearchedFileSystem>> RunAsync(
        IBlockReader volume, VolumeAnalysis analysis, IFileSelection wanted, long mostBlocks, CancellationToken cancellationToken)
    {
        if (analysis.Disk is not { } disk)
        {
            SearchedFileSystem? whole = await SearchAsync(volume, volume.Geometry.Whole, null, analysis.FileSystem, analysis.Doubt, wanted, mostBlocks, cancellationToken);
            return whole is null ? [] : [whole];
        }

        ByteAddressable bytes = new(volume); // a partition may begin between two of the disk's own sectors; not to be disposed: the disk is the caller's
        List<SearchedFileSystem> found = [];
        foreach (PartitionContent content in disk.Partitions)
        {
            Extent place = content.Partition.Extent;
            string? doubt = analysis.Doubt ?? content.Doubt; // a table in doubt may name partitions that overlap
            if (await SearchAsync(new Slice(bytes, place), place, content.Partition.Number, content.FileSystem, doubt, wanted, mostBlocks, cancellationToken) is { } one)
            {
                found.Add(one);
            }
        }

        return found;
    }

    private static async ValueTask<SearchedFileSystem?> SearchAsync(
        IBlockReader part, Extent place, int? partition, FileSystemFacts? facts, string? doubt, IFileSelection wanted, long mostBlocks, CancellationToken cancellationToken)
    {
        string type = facts?.Type ?? "";
        if (wanted.RootOf(type, partition) is not { } root)
        {
            return null;
        }

        if (doubt is not null)
        {
            return new SearchedFileSystem(place, partition, type, FileCollector.GiveUp(part.Geometry.Length, $"its map of used blocks is in doubt: {doubt}"));
        }

        FileFindings found = s_readers.FirstOrDefault(reader => reader.Reads(type)) is { } reader
            ? await reader.FindAsync(part, root, mostBlocks, cancellationToken)
            : FileCollector.GiveUp(part.Geometry.Length, $"files of {(type.Length == 0 ? "what is on it" : type)} can't be found here, only those of {Known}");
        return new SearchedFileSystem(place, partition, type, found with { Files = [.. found.Files.Select(file => file with { Partition = partition })] });
    }
}

/// <summary>What was found on one file system.</summary>
/// <param name="Place">Where on the volume it lies; the findings' map begins there.</param>
/// <param name="Partition">The number of its partition; null when it has the volume to itself.</param>
/// <param name="Type">Its type; empty when none was recognised.</param>
/// <param name="Found">What was found.</param>
public sealed record SearchedFileSystem(Extent Place, int? Partition, string Type, FileFindings Found);
