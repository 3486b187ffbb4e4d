using System.Text.Json;
using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>The command line on image files and a vault in a directory: what a user types, from the first vault to the restored file.</summary>
public sealed class RoundTripTests : IDisposable
{
    private const int Length = (3 << 20) + 512;

    private readonly TemporaryDirectory _directory = new();
    private readonly ScriptedHost _host = new();
    private readonly byte[] _content = new byte[Length];

    public RoundTripTests()
    {
        TestSeed.NewRandom().NextBytes(_content.AsSpan(0, 2 << 20));
        File.WriteAllBytes(_directory["disk.img"], _content);
        _host.Variables["QUENCH_PASSWORD"] = "password";
        _host.Variables["QUENCH_VAULT"] = _directory["vault"];
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task An_image_file_goes_into_the_vault_and_comes_back_equal()
    {
        await DoneAsync("init");
        Assert.NotEmpty(_host.LastLine);
        await DoneAsync("backup", _directory["disk.img"], "--prove", "--tag", "first");
        string point = _host.LastLine;
        Assert.Contains("proved", _host.Error.ToString(), StringComparison.Ordinal);

        await DoneAsync("list");
        Assert.Contains(point, _host.LastLine, StringComparison.Ordinal);
        Assert.Contains("disk.img", _host.LastLine, StringComparison.Ordinal);
        Assert.Contains("first", _host.LastLine, StringComparison.Ordinal);
        await DoneAsync("show", point);
        Assert.Contains("cold", _host.Output.ToString(), StringComparison.Ordinal);
        await DoneAsync("verify");
        await DoneAsync("verify", point, "--level", "structure");

        await DoneAsync("restore", "latest", _directory["back.img"], "--verify");
        Assert.Equal(_content, File.ReadAllBytes(_directory["back.img"]));
    }

    [Fact]
    public async Task The_summary_of_a_backup_has_the_fields_that_scripts_rely_on_in_their_order()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"], "--json");
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(
            ["message_type", "point", "grade", "provider", "freeze_ms", "used_bytes", "stored_bytes", "new_bytes"],
            summary.RootElement.EnumerateObject().Take(8).Select(property => property.Name));
        Assert.Equal("summary", summary.RootElement.GetProperty("message_type").GetString());
        Assert.Equal("cold", summary.RootElement.GetProperty("provider").GetString());
        Assert.Equal(Length, summary.RootElement.GetProperty("used_bytes").GetInt64());
        Assert.Equal(32, summary.RootElement.GetProperty("point").GetString()!.Length);
        Assert.Equal(JsonValueKind.Null, summary.RootElement.GetProperty("freeze_ms").ValueKind);
    }

    [Fact]
    public async Task The_second_backup_of_an_unchanged_file_stores_nothing_new()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"]);
        await DoneAsync("backup", _directory["disk.img"], "--json");
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(0, summary.RootElement.GetProperty("new_bytes").GetInt64());
        Assert.InRange(summary.RootElement.GetProperty("stored_bytes").GetInt64(), 0, 16 * 1024);
    }

    [Fact]
    public async Task A_lost_index_is_made_again_from_the_packs()
    {
        _host.Variables["QUENCH_CACHE_DIR"] = _directory["cache"];
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"]);
        Directory.Delete(Path.Combine(_directory["vault"], "index"), recursive: true);
        await DoneAsync("vault", "rebuild-index");
        Assert.StartsWith("wrote index/", _host.LastLine, StringComparison.Ordinal);
        await DoneAsync("vault", "rebuild-index", "--json");
        using JsonDocument summary = JsonDocument.Parse(_host.LastLine);
        Assert.Equal(0, summary.RootElement.GetProperty("written").GetArrayLength());
        await DoneAsync("verify");
        await DoneAsync("restore", "latest", _directory["back.img"], "--verify");
        Assert.Equal(_content, File.ReadAllBytes(_directory["back.img"]));
    }

    [Fact]
    public async Task What_would_be_overwritten_needs_a_yes()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"]);
        byte[] other = TestSeed.NewRandom().NextBytes(Length);
        File.WriteAllBytes(_directory["target.img"], other);
        string[] restore = ["restore", "latest", _directory["target.img"]];

        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, restore));
        _host.Type("no");
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, restore));
        await DoneAsync([.. restore, "--dry-run"]);
        Assert.Contains("what is in it will be lost", _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Equal(other, File.ReadAllBytes(_directory["target.img"]));

        _host.Type("yes");
        await DoneAsync([.. restore, "--only-different"]);
        Assert.Equal(_content, File.ReadAllBytes(_directory["target.img"]));
    }

    [Fact]
    public async Task The_source_itself_is_overwritten_only_when_it_is_meant()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"]);
        string[] restore = ["restore", "latest", _directory["disk.img"], "--yes"];
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, restore));
        Assert.Contains("RST-105", _host.Error.ToString(), StringComparison.Ordinal);
        await DoneAsync([.. restore, "--in-place"]);
        Assert.Equal(_content, File.ReadAllBytes(_directory["disk.img"]));
    }

    [Fact]
    public async Task A_wrong_password_ends_with_12_and_the_recovery_code_opens_too()
    {
        await DoneAsync("init");
        string code = _host.LastLine;
        _host.Variables["QUENCH_PASSWORD"] = "wrong";
        Assert.Equal(ExitCodes.WrongPassword, await _host.RunAsync(Token, "list"));
        _host.Variables["QUENCH_PASSWORD"] = code;
        await DoneAsync("list");
    }

    [Fact]
    public async Task A_directory_without_a_vault_ends_with_10()
    {
        Directory.CreateDirectory(_directory["vault"]);
        Assert.Equal(ExitCodes.NoVault, await _host.RunAsync(Token, "list"));
    }

    [Fact]
    public async Task A_point_that_is_not_there_is_said_to_be_so()
    {
        await _host.MakeVaultAsync(Token);
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, "show", "latest"));
        Assert.Contains("holds no recovery point yet", _host.Error.ToString(), StringComparison.Ordinal);
        await DoneAsync("backup", _directory["disk.img"]);
        Assert.Equal(ExitCodes.Failed, await _host.RunAsync(Token, "show", "zz"));
    }

    [Fact]
    public async Task A_grade_lower_than_demanded_ends_with_3_and_the_point_is_there()
    {
        await _host.MakeVaultAsync(Token);
        Assert.Equal(ExitCodes.LowerGrade, await _host.RunAsync(Token, "backup", _directory["disk.img"], "--require", "file-system"));
        await DoneAsync("show", "latest");
    }

    [Fact]
    public async Task Damage_ends_with_22_and_is_named()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"]);
        string largest = new DirectoryInfo(_directory["vault"]).EnumerateFiles("*", SearchOption.AllDirectories).MaxBy(file => file.Length)!.FullName;
        byte[] pack = File.ReadAllBytes(largest);
        pack[pack.Length / 2] ^= 1;
        File.Delete(largest);
        File.WriteAllBytes(largest, pack);
        Assert.Equal(ExitCodes.Mismatch, await _host.RunAsync(Token, "verify"));
        Assert.Contains("disk.img", _host.Output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotten_pack_is_healed_and_what_was_verified_is_shown()
    {
        await _host.MakeVaultAsync(Token);
        await DoneAsync("backup", _directory["disk.img"], "--prove");
        await DoneAsync("verify", "--level", "restored");
        await DoneAsync("list");
        Assert.Contains("restored 2", _host.LastLine, StringComparison.Ordinal);
        string largest = new DirectoryInfo(Path.Combine(_directory["vault"], "packs")).EnumerateFiles("*", SearchOption.AllDirectories).MaxBy(file => file.Length)!.FullName;
        byte[] sound = File.ReadAllBytes(largest);
        File.WriteAllBytes(largest, [.. sound[..100_000], .. new byte[50_000], .. sound[150_000..]]);

        Assert.Equal(ExitCodes.Mismatch, await _host.RunAsync(Token, "verify", "--json"));
        using (JsonDocument summary = JsonDocument.Parse(_host.LastLine))
        {
            Assert.True(summary.RootElement.GetProperty("hurt")[0].GetProperty("ranges")[0].GetProperty("length").GetInt64() >= 50_000);
        }

        await DoneAsync("list");
        Assert.Contains("damaged 2", _host.LastLine, StringComparison.Ordinal);
        await DoneAsync("vault", "repair", "--dry-run");
        Assert.Contains("would be healed by its parity", _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "vault", "repair"));
        Assert.NotEqual(sound, File.ReadAllBytes(largest));
        await DoneAsync("vault", "repair", "--yes");
        Assert.Equal(sound, File.ReadAllBytes(largest));
        await DoneAsync("verify", "--part", "1/1");
        await DoneAsync("show", "latest");
        Assert.DoesNotContain("damaged", _host.Output.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_has_no_parity_is_healed_from_the_source_or_from_another_vault()
    {
        await DoneAsync("init", "--parity", "none");
        await DoneAsync("backup", _directory["disk.img"]);
        Assert.False(Directory.Exists(Path.Combine(_directory["vault"], "parity")));
        string largest = new DirectoryInfo(_directory["vault"]).EnumerateFiles("*", SearchOption.AllDirectories).MaxBy(file => file.Length)!.FullName;
        File.WriteAllBytes(largest, new byte[File.ReadAllBytes(largest).Length]);
        Assert.Equal(ExitCodes.Mismatch, await _host.RunAsync(Token, "vault", "repair", "--yes"));
        await DoneAsync("vault", "repair", "--yes", "--from-source", _directory["disk.img"]);
        await DoneAsync("verify");

        await DoneAsync("init", "--vault", _directory["other"]);
        await DoneAsync("backup", _directory["disk.img"], "--vault", _directory["other"]);
        File.Delete(largest);
        await DoneAsync("vault", "repair", "--yes", "--from", _directory["other"]);
        await DoneAsync("verify");
        await DoneAsync("restore", "latest", _directory["back.img"]);
        Assert.Equal(_content, File.ReadAllBytes(_directory["back.img"]));
    }

    [Fact]
    public async Task An_interrupted_backup_ends_with_130_and_commits_nothing()
    {
        await _host.MakeVaultAsync(Token);
        using CancellationTokenSource interrupted = new();
        await interrupted.CancelAsync();
        Assert.Equal(ExitCodes.Interrupted, await _host.RunAsync(interrupted.Token, "backup", _directory["disk.img"]));
        await DoneAsync("list", "--json");
        Assert.Equal("[]", _host.LastLine);
    }

    [Fact]
    public async Task An_image_file_that_is_attached_is_refused_with_11()
    {
        await using LoopDevice loop = await LoopDevice.AttachAsync(1 << 20);
        string backing = (await File.ReadAllTextAsync($"/sys/block/{Path.GetFileName(loop.Path)}/loop/backing_file", Token)).Trim();
        Assert.Equal(ExitCodes.InUse, await _host.RunAsync(Token, "backup", backing));
        Assert.Contains(loop.Path, _host.Error.ToString(), StringComparison.Ordinal);
    }

    private async Task DoneAsync(params string[] args)
    {
        int code = await _host.RunAsync(Token, args);
        Assert.True(code == ExitCodes.Done, $"quench {string.Join(' ', args)} ended with {code}:\n{_host.Error}");
    }
}
