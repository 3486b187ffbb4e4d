using System.Text.Json;
using System.Xml.Linq;
using Quench.Imaging.Activity.Writers;
using Quench.Snapshots.Writes;
using Quench.Tests.Imaging.Activity;
using Xunit;

namespace Quench.Tests.Cli.Activity;

/// <summary>quench activity, as far as it goes without a kernel to ask: what it refuses, and what it makes of a log.</summary>
public sealed class ActivityCommandTests : IDisposable
{
    private static readonly DateTimeOffset s_start = new(2026, 11, 21, 3, 0, 0, TimeSpan.Zero);

    private readonly TemporaryDirectory _folder = new();
    private readonly ScriptedHost _host = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("CLI-170")]
    [InlineData("CLI-170", "/dev/null", "--for", "0s")]
    [InlineData("CLI-170", "/dev/null", "--from", "x")]
    [InlineData("CLI-170", "--from", "x", "--for", "1s")]
    [InlineData("CLI-170", "--from", "x", "--live")]
    [InlineData("CLI-170", "--from", "x", "--log", "y")]
    [InlineData("CLI-170", "/dev/null", "--picture", "picture.png")]
    [InlineData("CLI-170", "/dev/null", "--picture", "/nowhere/at/all/picture.svg")]
    public async Task Options_that_contradict_each_other_are_refused(string code, params string[] words)
    {
        Assert.Equal(2, await _host.RunAsync(Cancellation, ["activity", .. words]));
        Assert.Contains($"code: {code}", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/dev/null")]
    [InlineData("/no/such/thing")]
    [InlineData("no-such-volume")]
    public async Task What_is_no_volume_is_refused(string word)
    {
        Assert.Equal(1, await _host.RunAsync(Cancellation, "activity", word, "--for", "1s"));
        Assert.Contains("code: ACT-101", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_is_not_root_is_refused()
    {
        _host.IsRoot = false;
        Assert.Equal(1, await _host.RunAsync(Cancellation, "activity", "/dev/null", "--for", "1s"));
        Assert.Contains("code: CLI-105", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_without_a_watch_is_refused()
    {
        ActivityLogWriter.Open(_folder["log"], "/dev/test").Dispose();
        Assert.Equal(1, await _host.RunAsync(Cancellation, "activity", "--from", _folder["log"]));
        Assert.Contains("code: ACT-106", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_is_summed_up_in_words_in_JSON_and_as_a_picture()
    {
        RandomActivity activity = RandomActivity.Make(TestSeed.NewRandom(), s_start, seconds: 400, events: 500);
        activity.Events.First(one => one.File.Path is not null).File.Path = "/<&\"'\u0001\ud83d\ude00>";
        using (ActivityLogWriter log = ActivityLogWriter.Open(_folder["log"], "/dev/test"))
        {
            activity.Play(log, new WriteLosses(1, 2, 3, 0, 0, 0, 0));
        }

        WriteEvent[] writes = [.. activity.Events.Where(one => one.Kind == WriteKind.Write)];
        Assert.Equal(0, await _host.RunAsync(Cancellation, "activity", "--from", _folder["log"], "--picture", _folder["a.svg"], "--top", "3"));
        string words = _host.Output.ToString();
        Assert.Contains($"{writes.Length} writes of ", words, StringComparison.Ordinal);
        Assert.Contains("WARNING writes are missing here: 2 of", words, StringComparison.Ordinal);
        Assert.Contains("quietest minute: ", words, StringComparison.Ordinal);
        Assert.Contains("A BACKUP THAT TAKES", words, StringComparison.Ordinal);
        Assert.Equal("svg", XDocument.Load(_folder["a.svg"]).Root!.Name.LocalName);

        Assert.Equal(0, await _host.RunAsync(Cancellation, "activity", "--from", _folder["log"], "--json", "--backup-takes", "2min"));
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(writes.Length, summary.RootElement.GetProperty("writes").GetInt64());
        Assert.Equal(writes.Sum(one => one.Length), summary.RootElement.GetProperty("processes").EnumerateArray().Sum(process => process.GetProperty("bytes").GetInt64()));
        Assert.Contains(summary.RootElement.GetProperty("diff_area").EnumerateArray(), area => area.GetProperty("backup_seconds").GetDouble() == 120);
    }

    [Fact]
    public async Task A_log_whose_end_is_torn_is_summed_up_and_that_is_said()
    {
        using (ActivityLogWriter log = ActivityLogWriter.Open(_folder["log"], "/dev/test"))
        {
            RandomActivity.Make(TestSeed.NewRandom(), s_start, seconds: 4, events: 50).Play(log);
        }

        File.AppendAllText(_folder["log"], "torn");
        Assert.Equal(0, await _host.RunAsync(Cancellation, "activity", "--from", _folder["log"]));
        Assert.Contains("were not read", _host.Error.ToString(), StringComparison.Ordinal);
    }
}
