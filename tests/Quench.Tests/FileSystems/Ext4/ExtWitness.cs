using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>What other programs say is in use, in the form of our own maps.</summary>
internal static partial class ExtWitness
{
    /// <summary>Everything but the free blocks that dumpe2fs lists. With bigalloc it lists the first block of each free cluster.</summary>
    public static async Task<UsedBlocks> AskDumpe2fsAsync(string image)
    {
        string text = await Tool.RunAsync("dumpe2fs", image);
        int blockSize = int.Parse(BlockSize().Match(text).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        Match cluster = ClusterSize().Match(text);
        int unit = cluster.Success ? int.Parse(cluster.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : blockSize;
        UsedBlocks used = new(new FileInfo(image).Length, unit);
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
    public static async Task<UsedBlocks> AskPartcloneAsync(string image, int blockSize)
    {
        string log = image + ".domain";
        await Tool.RunAsync("partclone.extfs", "-D", "--offset_domain=0", "-s", image, "-o", log, "-L", image + ".log");
        UsedBlocks used = new(new FileInfo(image).Length, blockSize);
        used.Bits.SetRange(0, used.Bits.Length);
        foreach (string line in await File.ReadAllLinesAsync(log))
        {
            string[] parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length == 3 && parts[2] == "?")
            {
                used.Bits.ClearRange(Hexadecimal(parts[0]) / blockSize, Hexadecimal(parts[1]) / blockSize);
            }
        }

        return used;
    }

    /// <summary>Null when two maps are the same; otherwise the first run in which they differ.</summary>
    public static string? Compare(UsedBlocks ours, UsedBlocks theirs)
    {
        if (ours.BlockSize != theirs.BlockSize || ours.VolumeLength != theirs.VolumeLength)
        {
            return $"ours speaks of {ours.BlockSize}-byte blocks of {ours.VolumeLength} bytes, theirs of {theirs.BlockSize} of {theirs.VolumeLength}";
        }

        foreach ((Extent our, Extent their) in ours.Runs().Zip(theirs.Runs()))
        {
            if (our != their)
            {
                return $"in blocks of {ours.BlockSize}: ours has [{our.Offset / ours.BlockSize}, {our.End / ours.BlockSize}) in use, theirs [{their.Offset / ours.BlockSize}, {their.End / ours.BlockSize})";
            }
        }

        return ours.TotalLength == theirs.TotalLength ? null : $"ours has {ours.TotalLength} bytes in use, theirs {theirs.TotalLength}";
    }

    private static long Hexadecimal(string text) => long.Parse(text.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^Block size: +(\d+)$", RegexOptions.Multiline)]
    private static partial Regex BlockSize();

    [GeneratedRegex(@"^Cluster size: +(\d+)$", RegexOptions.Multiline)]
    private static partial Regex ClusterSize();

    [GeneratedRegex(@"^  Free blocks: (.*)$", RegexOptions.Multiline)]
    private static partial Regex FreeBlocks();
}
