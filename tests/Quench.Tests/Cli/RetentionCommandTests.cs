using System.Text.Json;
using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>quench forget and quench vault prune as a user types them, on a vault in a directory.</summary>
public sealed class RetentionCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ScriptedHost _host = new();

    public RetentionCommandTests()
    {
        _host.Variables["QUENCH_PASSWORD"] = "password";
        _host.Variables["QUENCH_VAULT"] = _directory["vault"];
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Points_are_forgotten_by_rules_and_their_room_comes_back()
    {
        string[] points = await MakeVaultAsync(4);
        await DoneAsync("forget", "--keep-last", "2", "--dry-run");
        Assert.Equal(2, Count("goes"));
        Assert.Equal(2, Count("stays"));
        Assert.Contains("last", _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "forget", "--keep-last", "2"));
        Assert.Contains("CLI-108", _host.Error.ToString(), StringComparison.Ordinal);
        _host.Type("no");
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, "forget", "--keep-last", "2"));
        _host.Type("yes");
        await DoneAsync("forget", "--keep-last", "2");
        await DoneAsync("list");
        Assert.DoesNotContain(points[0][..8], _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Contains(points[3][..8], _host.Output.ToString(), StringComparison.Ordinal);

        long before = Size();
        await DoneAsync("vault", "prune", "--dry-run");
        Assert.Contains("delete  2 packs", _host.Output.ToString(), StringComparison.Ordinal);
        _host.HasTerminal = false;
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "vault", "prune"));
        await DoneAsync("vault", "prune", "--yes", "--json");
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(2, summary.RootElement.GetProperty("deleted_packs").GetInt32());
        Assert.InRange(before - Size(), 2 << 20, 3 << 20);
        await DoneAsync("verify");
        await DoneAsync("restore", points[3], _directory["back.img"]);
        Assert.Equal(File.ReadAllBytes(_directory["disk3.img"]), File.ReadAllBytes(_directory["back.img"]));
        await DoneAsync("vault", "prune", "--yes");
        Assert.Contains("nothing to delete", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_last_point_of_a_volume_wants_more_than_a_yes()
    {
        string[] points = await MakeVaultAsync(1);
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, "forget", points[0][..6], "--yes"));
        Assert.Contains("--even-last", _host.Error.ToString(), StringComparison.Ordinal);
        Assert.Contains("CLI-121", _host.Error.ToString(), StringComparison.Ordinal);
        await DoneAsync("forget", points[0][..6], "--yes", "--even-last");
        await DoneAsync("list");
        Assert.Contains("no recovery point", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("forget")]
    [InlineData("forget", "--keep-last", "0")]
    [InlineData("forget", "abc", "--keep-last", "2")]
    [InlineData("forget", "abc", "--host", "a")]
    [InlineData("forget", "--keep-last", "-1")]
    [InlineData("forget", "--keep-within", "soon")]
    [InlineData("vault", "prune", "--repack-below", "150%")]
    [InlineData("vault", "prune", "--wait", "1x")]
    public async Task An_unclear_line_is_refused(params string[] line) => Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, line));

    [Theory]
    [InlineData("90s", 90)]
    [InlineData("30min", 1800)]
    [InlineData("12h", 43200)]
    [InlineData("1w2d", 777600)]
    [InlineData("1mo", 2592000)]
    [InlineData("2y", 63072000)]
    [InlineData("", null)]
    [InlineData("12", null)]
    [InlineData("h", null)]
    [InlineData("-1h", null)]
    [InlineData("1.5h", null)]
    [InlineData("99999999999y", null)]
    [InlineData("2000y", null)]
    [InlineData("1h ", 3600)]
    public void Durations_are_read_as_people_write_them(string text, int? seconds) =>
        Assert.Equal(seconds, DurationText.TryParse(text, out TimeSpan duration) ? (int?)duration.TotalSeconds : null);

    private async Task<string[]> MakeVaultAsync(int count)
    {
        Random random = TestSeed.NewRandom();
        await _host.MakeVaultAsync(Token);
        string[] points = new string[count];
        for (int i = 0; i < count; i++)
        {
            string disk = _directory[$"disk{i}.img"];
            File.WriteAllBytes(disk, random.NextBytes(1 << 20));
            File.Copy(disk, _directory["disk.img"], overwrite: true);
            await DoneAsync("backup", _directory["disk.img"]);
            points[i] = _host.LastLine;
        }

        return points;
    }

    private int Count(string word) => _host.Output.ToString().Split('\n').Count(line => line.Contains("  " + word, StringComparison.Ordinal));

    private long Size() => new DirectoryInfo(_directory["vault"]).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

    private async Task DoneAsync(params string[] line) =>
        Assert.True(await _host.RunAsync(Token, line) == ExitCodes.Done, $"{string.Join(' ', line)}: {_host.Error}");
}
