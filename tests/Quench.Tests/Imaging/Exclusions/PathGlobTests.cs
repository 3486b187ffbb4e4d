using Quench.Blocks;
using Quench.Imaging.Capture.Exclusions;
using Xunit;

namespace Quench.Tests.Imaging.Exclusions;

public sealed class PathGlobTests
{
    [Theory]
    [InlineData("/a", "/a", true)]
    [InlineData("/a", "/a/b/c", true)]
    [InlineData("/a/", "/a/b", true)]
    [InlineData("/a", "/ab", false)]
    [InlineData("/a", "/b/a", false)]
    [InlineData("/*", "/anything", true)]
    [InlineData("/var/cache/**/*.bin", "/var/cache/x.bin", true)]
    [InlineData("/var/cache/**/*.bin", "/var/cache/one/two/x.bin", true)]
    [InlineData("/var/cache/**/*.bin", "/var/cache/one/two/x.bin.old", false)]
    [InlineData("/var/cache/**/*.bin", "/var/x.bin", false)]
    [InlineData("/**/node_modules", "/home/me/node_modules/deep/file", true)]
    [InlineData("/**/node_modules", "/home/me/modules/file", false)]
    [InlineData("/a/**", "/a/b", true)]
    [InlineData("/a/**", "/a", true)]
    [InlineData("/**", "/x/y", true)]
    [InlineData("/a/**/b/**/c", "/a/1/b/2/3/c", true)]
    [InlineData("/a/**/b/**/c", "/a/1/2/3/c", false)]
    [InlineData("/?", "/x", true)]
    [InlineData("/?", "/xy", false)]
    [InlineData("/?", "/😀", true)]
    [InlineData("/[a-c]x", "/bx", true)]
    [InlineData("/[!a-c]x", "/bx", false)]
    [InlineData("/[]a]", "/]", true)]
    [InlineData("/\\*", "/*", true)]
    [InlineData("/\\*", "/x", false)]
    [InlineData("/*a*b*c", "/xaxbxbxc", true)]
    [InlineData("/*a*b*c", "/xaxbxbx", false)]
    [InlineData("/A", "/a", false)]
    public void Paths_match_as_written(string pattern, string path, bool matches) => Assert.Equal(matches, Match(PathGlob.Parse(pattern), path, ignoresCase: false));

    [Theory]
    [InlineData("/Pagefile.SYS", "/pagefile.sys", true)]
    [InlineData("/[a-z]", "/Q", true)]
    [InlineData("/[A-Z]", "/q", true)]
    [InlineData("/x", "/y", false)]
    public void Case_can_be_passed_over(string pattern, string path, bool matches) => Assert.Equal(matches, Match(PathGlob.Parse(pattern), path, ignoresCase: true));

    [Theory]
    [InlineData("")]
    [InlineData("a/b")]
    [InlineData("*.bin")]
    [InlineData("/")]
    [InlineData("//")]
    [InlineData("/a//b")]
    [InlineData("/a/../b")]
    [InlineData("/./b")]
    [InlineData("/a**b")]
    [InlineData("/a**")]
    [InlineData("/[a")]
    [InlineData("/[]")]
    [InlineData("/[z-a]")]
    [InlineData("/a\\")]
    [InlineData("/a\0b")]
    public void What_cannot_be_a_pattern_is_refused(string pattern)
    {
        QuenchException refused = Assert.Throws<QuenchException>(() => PathGlob.Parse(pattern));
        Assert.Equal(("CLI-154", 2), (refused.Code, refused.ExitCode));
    }

    [Fact]
    public void Too_long_a_pattern_is_refused_and_one_of_sixty_parts_is_not()
    {
        string sixty = string.Concat(Enumerable.Repeat("/a", 60));
        Assert.True(Match(PathGlob.Parse(sixty), sixty, ignoresCase: false));
        Assert.Throws<QuenchException>(() => PathGlob.Parse(sixty + "/a"));
        Assert.Throws<QuenchException>(() => PathGlob.Parse("/" + new string('a', 5000)));
    }

    [Theory]
    [InlineData("/a*b?c[d]\\e")]
    [InlineData("/plain/path with space")]
    public void A_literal_matches_its_path_alone(string path)
    {
        Assert.True(Match(PathGlob.Literal(path), path, ignoresCase: false));
        Assert.False(Match(PathGlob.Literal(path), path + "x", ignoresCase: false));
        Assert.False(Match(PathGlob.Literal(path), path.Replace('?', 'x').Replace('*', 'x') + "y", ignoresCase: false));
    }

    [Fact]
    public void Random_patterns_match_what_a_plain_recursion_says()
    {
        Random random = TestSeed.NewRandom();
        for (int round = 0; round < 20_000; round++)
        {
            string[] pattern = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => random.Next(4) == 0 ? "**" : Word(random, "ab*?"))];
            string[] path = [.. Enumerable.Range(0, random.Next(1, 6)).Select(_ => Word(random, "abc"))];
            if (pattern.Any(part => part != "**" && part.Contains("**", StringComparison.Ordinal)))
            {
                continue;
            }

            bool expected = Enumerable.Range(0, path.Length + 1).Any(taken => Plainly(pattern, path.AsSpan(0, taken)));
            Assert.True(expected == Match(PathGlob.Parse("/" + string.Join('/', pattern)), "/" + string.Join('/', path), false), $"{string.Join('/', pattern)} and {string.Join('/', path)}");
        }
    }

    private static string Word(Random random, string letters) => new([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => letters[random.Next(letters.Length)])]);

    private static bool Plainly(ReadOnlySpan<string> pattern, ReadOnlySpan<string> path) =>
        pattern.IsEmpty ? path.IsEmpty
        : pattern[0] == "**" ? Plainly(pattern[1..], path) || (!path.IsEmpty && Plainly(pattern, path[1..]))
        : !path.IsEmpty && Plainly(pattern[0].AsSpan(), path[0]) && Plainly(pattern[1..], path[1..]);

    private static bool Plainly(ReadOnlySpan<char> pattern, ReadOnlySpan<char> name) =>
        pattern.IsEmpty ? name.IsEmpty
        : pattern[0] == '*' ? Plainly(pattern[1..], name) || (!name.IsEmpty && Plainly(pattern, name[1..]))
        : !name.IsEmpty && (pattern[0] == '?' || pattern[0] == name[0]) && Plainly(pattern[1..], name[1..]);

    private static bool Match(PathGlob glob, string path, bool ignoresCase)
    {
        ulong positions = glob.Start;
        foreach (string name in path[1..].Split('/'))
        {
            positions = glob.Step(positions, name, ignoresCase);
        }

        return glob.IsMatch(positions);
    }
}
