using System.Globalization;
using System.Text.RegularExpressions;
using Quench.Blocks;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>What other programs say is in use, in the form of our own maps.</summary>
internal static partial class XfsWitness
{
    /// <summary>Everything but the free extents that xfs_db lists, of trees and free lists.</summary>
    public static async Task<UsedBlocks> AskXfsDbAsync(string image)
    {
        string text = await Tool.RunAsync("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p blocksize", "-c", "p agblocks", "-c", "freesp -d", image);
        int blockSize = (int)Field(text, "blocksize");
        long groupBlocks = Field(text, "agblocks");
        UsedBlocks used = new(new FileInfo(image).Length, blockSize);
        used.Bits.SetRange(0, used.Bits.Length);
        foreach (Match line in FreeExtent().Matches(text))
        {
            long[] numbers = [.. line.Value.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(number => long.Parse(number, CultureInfo.InvariantCulture))];
            used.Bits.ClearRange((numbers[0] * groupBlocks) + numbers[1], numbers[2]);
        }

        return used;
    }

    /// <summary>The free extents that the kernel lists of a mounted file system: those of the trees, without the free lists.</summary>
    public static async Task<IReadOnlyList<Extent>> AskKernelAsync(string folder)
    {
        string text = await Tool.RunAsync("xfs_io", "-r", "-c", "fsmap", folder);
        return [.. KernelFree().Matches(text).Select(match => Extent.FromTo(Number(match.Groups[1]) * 512, (Number(match.Groups[2]) + 1) * 512))];
    }

    private static long Number(Group group) => long.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    private static long Field(string text, string name) => long.Parse(Regex.Match(text, $@"^{name} = (\d+)$", RegexOptions.Multiline).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^ +\d+ +\d+ +\d+$", RegexOptions.Multiline)]
    private static partial Regex FreeExtent();

    [GeneratedRegex(@"\[(\d+)\.\.(\d+)\]: free space", RegexOptions.Multiline)]
    private static partial Regex KernelFree();
}
