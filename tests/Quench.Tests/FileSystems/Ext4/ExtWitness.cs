using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>What other programs say is in use, in the form of our own maps.</summary>
internal static partial class ExtWitness
{
    /// <summary>Everything but the free blocks that dumpe2fs lists. With bigalloc it lists the first block of each free cluster.</summary>
    public static Task<UsedBlocks> AskDumpe2fsAsync(string image) => AskDumpe2fsAsync(image, new Extent(0, new FileInfo(image).Length));

    /// <summary>The same of a partition of an image.</summary>
    public static async Task<UsedBlocks> AskDumpe2fsAsync(string image, Extent part)
    {
        string text = await Tool.RunAsync("dumpe2fs", part.Offset == 0 ? image : $"{image}?offset={part.Offset}");
        int blockSize = int.Parse(BlockSize().Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        Match cluster = ClusterSize().Match(text);
        int unit = cluster.Success ? int.Parse(cluster.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : blockSize;
        UsedBlocks used = new(part.Length, unit);
        used.Bits.SetRange(0, used.Bits.Length);
        int ratio = unit / blockSize;
        foreach (Match line in FreeBlocks().Matches(text))
        {
            foreach (string range in line.Groups[1].Value.Split(", ", StringSplitOptions.RemoveEmptyEntries))
            {
                long[] ends = [.. range.Split('-').Select(number => long.Parse(number, CultureInfo.InvariantCulture) / ratio)];
                used.Bits.ClearRange(ends[0], ends[^1] - ends[0] + 1);
            }
        }

        return used;
    }

    /// <summary>What partclone would copy, and the rest of the volume after the file system.</summary>
    public static Task<UsedBlocks> AskPartcloneAsync(string image, int blockSize) => Partclone.AskAsync("partclone.extfs", image, blockSize);

    /// <summary>Null when two maps are the same; otherwise the first run in which they differ.</summary>
    public static string? Compare(UsedBlocks ours, UsedBlocks theirs) => MapComparison.Compare(ours, theirs);

    [GeneratedRegex(@"^Block size: +(\d+)$", RegexOptions.Multiline)]
    private static partial Regex BlockSize();

    [GeneratedRegex(@"^Cluster size: +(\d+)$", RegexOptions.Multiline)]
    private static partial Regex ClusterSize();

    [GeneratedRegex(@"^  Free blocks: (.*)$", RegexOptions.Multiline)]
    private static partial Regex FreeBlocks();
}
