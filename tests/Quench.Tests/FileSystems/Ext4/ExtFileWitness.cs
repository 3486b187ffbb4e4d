using System.Globalization;
using System.Text.RegularExpressions;

namespace Quench.Tests.FileSystems.Ext4;

/// <summary>What debugfs says of files: which blocks hold their data.</summary>
internal static partial class ExtFileWitness
{
    /// <summary>The blocks of data of files, by path; a path that is no regular file, or that is not there, is left out.</summary>
    public static async Task<Dictionary<string, HashSet<long>>> AskAsync(string image, IEnumerable<string> paths)
    {
        string script = image + ".ask";
        string[] asked = [.. paths];
        await File.WriteAllLinesAsync(script, asked.Select(path => $"stat \"{path}\""));
        string text = await Tool.RunAsync("debugfs", "-f", script, image);
        File.Delete(script);
        Dictionary<string, HashSet<long>> found = [];
        string[] answers = text.Split("debugfs: stat ")[1..];
        foreach ((string path, string answer) in asked.Zip(answers))
        {
            if (answer.Contains("Type: regular", StringComparison.Ordinal))
            {
                found[path] = BlocksIn(answer);
            }
        }

        return found;
    }

    /// <summary>Of "(0-9):100-109, (IND):110, (10[u]):111, (ETB0):112" all but what leads to data.</summary>
    private static HashSet<long> BlocksIn(string answer)
    {
        HashSet<long> blocks = [];
        int from = answer.LastIndexOf("BLOCKS:\n", StringComparison.Ordinal);
        from = from < 0 ? answer.LastIndexOf("EXTENTS:\n", StringComparison.Ordinal) : from;
        foreach (Match match in from < 0 ? [] : Runs().Matches(answer[from..]).Cast<Match>())
        {
            long first = long.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
            long last = match.Groups[2].Success ? long.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture) : first;
            for (long block = first; block <= last; block++)
            {
                blocks.Add(block);
            }
        }

        return blocks;
    }

    [GeneratedRegex(@"\(\d+(?:-\d+)?(?:\[u\])?\):(\d+)(?:-(\d+))?")]
    private static partial Regex Runs();
}
