using System.Text.RegularExpressions;
using Xunit;

namespace Quench.Tests.Architecture;

/// <summary>What a reader may rely on in every file.</summary>
public sealed partial class TidinessTests
{
    [Fact]
    public void No_source_file_is_empty()
    {
        Assert.Empty(Files().Where(path => SaysNothing(Text(path))).Select(Repository.Relative));
        Assert.True(SaysNothing("using System;\n\nnamespace Nothing;\n\n/// <summary>A comment; no code { }</summary>\n"), "the rule sees an empty file");
    }

    [Fact]
    public void Nothing_is_left_for_later()
    {
        IEnumerable<string> open = Files().Where(path => LeftForLater().IsMatch(Text(path)));
        Assert.Empty(open.Select(Repository.Relative));
        Assert.Matches(LeftForLater(), "// TO" + "DO: the pattern finds one");
    }

    [Fact]
    public void Every_document_that_code_cites_exists()
    {
        List<string> broken = [];
        foreach (string path in Files())
        {
            foreach (Match citation in Citation().Matches(Text(path)))
            {
                string cited = citation.Groups["path"].Value;
                if (!Exists(cited))
                {
                    broken.Add($"{Repository.Relative(path)} cites {cited}");
                }
                else if (citation.Groups["section"] is { Success: true } section && !HasHeading(cited, section.Value))
                {
                    broken.Add($"{Repository.Relative(path)} cites \"{section.Value}\" of {cited}");
                }
            }
        }

        Assert.True(broken.Count == 0, string.Join('\n', broken));
    }

    [Fact]
    public void Every_link_of_the_documents_leads_somewhere()
    {
        List<string> broken = [];
        foreach (string path in Documents())
        {
            foreach (Match link in Link().Matches(Text(path)))
            {
                string target = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(path)!, link.Groups["to"].Value));
                if (!File.Exists(target) && !Directory.Exists(target))
                {
                    broken.Add($"{Repository.Relative(path)} links to {link.Groups["to"].Value}");
                }
            }
        }

        Assert.True(broken.Count == 0, string.Join('\n', broken));
    }

    [Fact]
    public void Every_error_code_in_the_code_is_in_the_table()
    {
        string table = Text(Path.Combine(Repository.Root, "docs/errors.md"));
        IEnumerable<string> codes = Repository.Sources("src")
            .SelectMany(File.ReadLines)
            .Where(line => !line.TrimStart().StartsWith("//", StringComparison.Ordinal))
            .SelectMany(line => ErrorCode().Matches(line))
            .Select(match => match.Groups["code"].Value)
            .Distinct();
        Assert.Empty(codes.Where(code => !table.Contains($"| {code} |", StringComparison.Ordinal)).Order());
    }

    private static IEnumerable<string> Files() => Repository.Sources("src").Concat(Repository.Sources("tests"));

    private static IEnumerable<string> Documents() => Directory
        .EnumerateFiles(Path.Combine(Repository.Root, "docs"), "*.md", SearchOption.AllDirectories)
        .Concat(Directory.EnumerateFiles(Repository.Root, "*.md"));

    private static string Text(string path) => File.ReadAllText(path);

    /// <summary>Whether a source has only usings, a namespace and comments.</summary>
    private static bool SaysNothing(string source) => !source.Split('\n', StringSplitOptions.TrimEntries)
        .Any(line => line.Length > 0 && !Frame().IsMatch(line));

    private static bool Exists(string cited)
    {
        string path = Path.Combine(Repository.Root, cited);
        return File.Exists(path)
            || Directory.Exists(path)
            || (Directory.Exists(Path.GetDirectoryName(path)) && Directory.EnumerateFiles(Path.GetDirectoryName(path)!, Path.GetFileName(path) + "-*.md").Any());
    }

    private static bool HasHeading(string cited, string heading) => Text(Path.Combine(Repository.Root, cited))
        .Split('\n')
        .Any(line => line.StartsWith('#') && line.TrimStart('#').Trim().Contains(heading, StringComparison.OrdinalIgnoreCase));

    [GeneratedRegex(@"\b(TO" + @"DO|FIX" + @"ME|XX" + @"X|HA" + @"CK)\b")]
    private static partial Regex LeftForLater();

    [GeneratedRegex(@"^(//|using [\w.]+;|namespace [\w.]+;)")]
    private static partial Regex Frame();

    /// <summary>docs/architecture.md, "Directions"; docs/decisions/0002.</summary>
    [GeneratedRegex(@"(?<path>docs/[\w./-]*[\w])(?:, ""(?<section>[^""\n]+)"")?")]
    private static partial Regex Citation();

    [GeneratedRegex(@"\]\((?<to>(?!https?:|#|mailto:)[^)#\s]+)(#[^)]*)?\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"""(?<code>[A-Z]{3,10}-[0-9]{3})""")]
    private static partial Regex ErrorCode();
}
