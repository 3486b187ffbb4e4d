using System.Globalization;
using System.Text.RegularExpressions;

namespace Quench.Tests.FileSystems.Xfs;

/// <summary>What xfs_db says of files: which blocks hold their data.</summary>
internal static partial class XfsFileWitness
{
    private const int AtOnce = 200;

    /// <summary>The inodes of the regular files in a folder of a mounted one, by path.</summary>
    public static async Task<Dictionary<string, long>> InodesAsync(string folder)
    {
        Dictionary<string, long> found = [];
        foreach (string line in (await Tool.RunAsync("find", folder, "-type", "f", "-printf", "%i %P\n")).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            found["/" + line[(space + 1)..]] = long.Parse(line.AsSpan(0, space), CultureInfo.InvariantCulture);
        }

        return found;
    }

    /// <summary>The blocks of data of files that are named by their inodes, counted from the volume's start. Files that may share blocks with others are left out.</summary>
    public static async Task<Dictionary<string, HashSet<long>>> AskAsync(string image, IReadOnlyDictionary<string, long> inodes)
    {
        long groupBlocks = long.Parse(GroupBlocks().Match(await Tool.RunAsync("xfs_db", "-r", "-f", "-c", "sb 0", "-c", "p agblocks", image)).Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        Dictionary<string, HashSet<long>> found = [];
        foreach (KeyValuePair<string, long>[] some in inodes.Chunk(AtOnce))
        {
            IEnumerable<string> words = some.SelectMany(file => new[] { "-c", $"inode {file.Value}", "-c", "p core.magic", "-c", "p v3.reflink", "-c", "bmap -d" });
            string[] answers = (await Tool.RunAsync("xfs_db", ["-r", "-f", .. words, image])).Split("core.magic = ")[1..];
            foreach ((KeyValuePair<string, long> file, string answer) in some.Zip(answers).Where(pair => !pair.Second.Contains("v3.reflink = 1", StringComparison.Ordinal)))
            {
                found[file.Key] = [.. Extents().Matches(answer).SelectMany(match => BlocksOf(match, groupBlocks))];
            }
        }

        return found;
    }

    private static IEnumerable<long> BlocksOf(Match match, long groupBlocks)
    {
        long[] numbers = [.. match.Groups.Values.Skip(1).Select(group => long.Parse(group.ValueSpan, CultureInfo.InvariantCulture))];
        for (long block = 0; block < numbers[2]; block++)
        {
            yield return (numbers[0] * groupBlocks) + numbers[1] + block;
        }
    }

    [GeneratedRegex(@"^agblocks = (\d+)", RegexOptions.Multiline)]
    private static partial Regex GroupBlocks();

    [GeneratedRegex(@"^data offset \d+ startblock \d+ \((\d+)/(\d+)\) count (\d+)", RegexOptions.Multiline)]
    private static partial Regex Extents();
}
