using Quench.Blocks;
using Quench.Cli.Commands.Shadow.Script;
using Xunit;

namespace Quench.Tests.Cli.Shadow;

/// <summary>Scripts in the dialect of diskshadow: all of a script is understood before any of it is done, and what is not understood is refused with its line.</summary>
public sealed class ScriptParserTests
{
    [Fact]
    public void Words_comments_quotes_and_case_are_as_people_write_them()
    {
        IReadOnlyList<ScriptStep> steps = ScriptParser.Parse(
            "# nightly\r\nREM set context nonsense\r\n\r\n  SET Context PERSISTENT NoWriters\r\nadd volume \"/srv/my data\" ALIAS Data_1 # the books\r\nexec /usr/bin/env \"a b\" \"\" %Data_1%\r\n");
        Assert.Equal(new SetContext(4, IsPersistent: true, HoldsWriters: false), steps[0]);
        Assert.Equal(new AddVolume(5, "/srv/my data", "Data_1"), steps[1]);
        Execute execute = Assert.IsType<Execute>(steps[2]);
        Assert.Equal((6, "/usr/bin/env"), (execute.Line, execute.Program));
        Assert.Equal(["a b", "", "%Data_1%"], execute.Arguments);
    }

    [Theory]
    [InlineData("set context persistent", true, true)]
    [InlineData("set context persistent nowriters", true, false)]
    [InlineData("set context clientaccessible", true, false)]
    [InlineData("set context volatile", false, true)]
    [InlineData("set context volatile nowriters", false, false)]
    public void Contexts_mean_what_they_mean_on_windows(string line, bool isPersistent, bool holdsWriters) =>
        Assert.Equal(new SetContext(1, isPersistent, holdsWriters), Assert.Single(ScriptParser.Parse(line)));

    [Theory]
    [InlineData("set context")]
    [InlineData("set context clientaccessible nowriters")]
    [InlineData("set context persistent twice")]
    [InlineData("set verbose perhaps")]
    [InlineData("set option plex")]
    [InlineData("set option transportable")]
    [InlineData("add volume")]
    [InlineData("add volume data alias")]
    [InlineData("add volume data alias 1st")]
    [InlineData("add volume data alias a;b")]
    [InlineData("add volume data provider hardware")]
    [InlineData("delete shadows")]
    [InlineData("delete shadows id")]
    [InlineData("delete everything")]
    [InlineData("expose %data%")]
    [InlineData("expose %data% p:")]
    [InlineData("exec")]
    [InlineData("create now")]
    [InlineData("revert %data%")]
    [InlineData("import")]
    [InlineData("list nothing")]
    [InlineData("add volume \"open")]
    [InlineData("rm -rf /")]
    public void What_is_not_understood_is_refused_with_its_line_before_anything_is_done(string line)
    {
        QuenchException refused = Assert.Throws<QuenchException>(() => ScriptParser.Parse($"create\n{line}\n"));
        Assert.Equal(("CLI-160", 2), (refused.Code, refused.ExitCode));
        Assert.StartsWith("line 2 of the script: ", refused.Message, StringComparison.Ordinal);
        Assert.Equal("nothing was done", refused.Effect);
    }

    [Fact]
    public void What_follows_an_exit_is_not_looked_at() => Assert.Equal(2, ScriptParser.Parse("create\nexit\nnonsense").Count);

    [Theory]
    [InlineData("%DATA%", "{id}")]
    [InlineData("/mnt/%data%/x", "/mnt/{id}/x")]
    [InlineData("100%", "100%")]
    [InlineData("100%%", "100%")]
    [InlineData("", "")]
    public void Names_stand_for_what_they_were_given(string word, string expected)
    {
        ScriptNames names = new();
        names.Set("data", "{id}");
        Assert.Equal(expected, names.Expand(1, word));
    }

    [Fact]
    public void A_name_that_stands_for_nothing_fails_its_line()
    {
        QuenchException failed = Assert.Throws<QuenchException>(() => new ScriptNames().Expand(7, "%data%"));
        Assert.Equal("CLI-161", failed.Code);
        Assert.Contains("line 7", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Whatever_a_script_holds_it_is_understood_or_refused()
    {
        Random random = TestSeed.NewRandom();
        string[] words = ["set", "context", "volatile", "add", "volume", "alias", "create", "expose", "%a%", "\"", "#", "exec", "delete", "shadows", "id", "list", "writers", "\t", "%", "é", "\0", "x:"];
        for (int round = 0; round < 20_000; round++)
        {
            string script = string.Join(random.Next(2) == 0 ? " " : "\n", Enumerable.Range(0, random.Next(12)).Select(_ => words[random.Next(words.Length)]));
            try
            {
                ScriptParser.Parse(script);
            }
            catch (QuenchException refused) when (refused.Code == "CLI-160")
            {
                // Said with its line.
            }
        }
    }
}
