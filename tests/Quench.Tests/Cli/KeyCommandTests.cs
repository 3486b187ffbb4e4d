using System.Text.Json;
using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>quench vault key: what a user types to look after the ways into a vault.</summary>
public sealed class KeyCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ScriptedHost _host = new();

    public KeyCommandTests()
    {
        _host.Variables["QUENCH_PASSWORD"] = "old password";
        _host.Variables["QUENCH_VAULT"] = _directory["vault"];
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_key_file_is_made_for_its_owner_alone_and_opens_the_vault()
    {
        await DoneAsync("init");
        string path = _directory["key"];
        await DoneAsync("vault", "key", "add", "--new-key-file", path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        byte[] held = File.ReadAllBytes(path);
        Assert.Equal(32, held.Length);
        _host.Variables.Remove("QUENCH_PASSWORD");
        await DoneAsync("list", "--key-file", path);
        Assert.DoesNotContain("chmod", _host.Error.ToString(), StringComparison.Ordinal);
        _host.Variables["QUENCH_KEY_FILE"] = path;
        Assert.Equal("key-file", (await ListAsync()).Single(slot => slot.GetProperty("used_now").GetBoolean()).GetProperty("kind").GetString());

        await RefusedAsync(1, "VAULT-068", "vault", "key", "add", "--new-key-file", path);
        Assert.Equal(held, File.ReadAllBytes(path));
        Assert.Equal(3, (await ListAsync()).Length);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        await DoneAsync("list");
        Assert.Contains("chmod 600", _host.Error.ToString(), StringComparison.Ordinal);
        File.WriteAllBytes(_directory["short"], held[..31]);
        await RefusedAsync(12, "VAULT-069", "list", "--key-file", _directory["short"]);
        await RefusedAsync(12, "VAULT-069", "list", "--key-file", _directory["none"]);
        File.WriteAllBytes(_directory["other"], new byte[32]);
        await RefusedAsync(12, "VAULT-002", "list", "--key-file", _directory["other"]);
    }

    [Fact]
    public async Task A_recovery_code_is_shown_once_and_the_first_one_can_go()
    {
        await DoneAsync("init");
        string first = _host.LastLine;
        await DoneAsync("vault", "key", "add", "--recovery-code");
        string second = _host.LastLine;
        Assert.Matches("^([0-9A-Z]{7}-){7}[0-9A-Z]{7}$", second);
        await DoneAsync("vault", "key", "add", "--recovery-code", "--json");
        string third = JsonDocument.Parse(_host.LastLine).RootElement.GetProperty("recovery_code").GetString()!;
        _host.Variables["QUENCH_PASSWORD"] = first;
        string slot = await UsedNowAsync();
        _host.Variables["QUENCH_PASSWORD"] = third;
        Assert.NotEqual(slot, await UsedNowAsync());
        await DoneAsync("vault", "key", "remove", slot, "--yes");
        _host.Variables["QUENCH_PASSWORD"] = first;
        await RefusedAsync(12, "VAULT-002", "list");
        _host.Variables["QUENCH_PASSWORD"] = second;
        await DoneAsync("list");
    }

    [Fact]
    public async Task A_password_changes_and_the_old_one_ends()
    {
        await DoneAsync("init");
        _host.Variables["QUENCH_NEW_PASSWORD"] = "new password";
        await DoneAsync("vault", "key", "passwd");
        await RefusedAsync(12, "VAULT-002", "list");
        _host.Variables["QUENCH_PASSWORD"] = "new password";
        await DoneAsync("list");
        _host.Variables.Remove("QUENCH_NEW_PASSWORD");
        await RefusedAsync(12, "CLI-102", "vault", "key", "passwd");
        _host.Type("typed", "typed");
        await DoneAsync("vault", "key", "passwd", (await UsedNowAsync())[..6], "--json");
        _host.Variables["QUENCH_PASSWORD"] = "typed";
        await DoneAsync("verify");
        Assert.Equal(2, (await ListAsync()).Length);
    }

    [Fact]
    public async Task A_key_is_removed_only_by_who_has_another_and_said_yes()
    {
        await DoneAsync("init");
        string ours = await UsedNowAsync();
        await RefusedAsync(2, "CLI-113", "vault", "key", "remove", ours);
        _host.Variables["QUENCH_NEW_PASSWORD"] = "second";
        await DoneAsync("vault", "key", "add");
        string second = _host.LastLine;
        await RefusedAsync(1, "VAULT-066", "vault", "key", "remove", "zz");
        await RefusedAsync(2, "CLI-108", "vault", "key", "remove", second[..8]);
        Assert.Contains("stays   recovery code", _host.Error.ToString(), StringComparison.Ordinal);
        _host.Type("no", "yes");
        await RefusedAsync(1, "CLI-109", "vault", "key", "remove", second);
        await DoneAsync("vault", "key", "remove", second);
        string code = (await ListAsync()).Single(slot => !slot.GetProperty("used_now").GetBoolean()).GetProperty("slot").GetString()!;
        await DoneAsync("vault", "key", "remove", code, "--yes", "--json");
        await RefusedAsync(1, "VAULT-064", "vault", "key", "remove", ours, "--yes");
        await DoneAsync("list");
    }

    [Fact]
    public async Task A_damaged_slot_is_listed_as_such()
    {
        await DoneAsync("init");
        string code = (await ListAsync()).Single(slot => !slot.GetProperty("used_now").GetBoolean()).GetProperty("slot").GetString()!;
        foreach (string path in (string[])[$"vault/keys/{code}", $"vault/copies/keys/{code}"])
        {
            byte[] bytes = File.ReadAllBytes(_directory[path]);
            bytes[100] ^= 1;
            File.WriteAllBytes(_directory[path], bytes);
        }

        await DoneAsync("vault", "key", "list");
        Assert.Contains("damaged", _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Contains("password", _host.Output.ToString(), StringComparison.Ordinal);
        Assert.Equal(22, await _host.RunAsync(Token, "verify"));
    }

    [Theory]
    [InlineData("vault")]
    [InlineData("vault", "key")]
    [InlineData("vault", "key", "remove")]
    [InlineData("vault", "key", "add", "--unknown")]
    [InlineData("vault", "prune", "--unknown")]
    [InlineData("serve", "point")]
    [InlineData("vault", "key", "add", "--new-key-file", "x", "--recovery-code")]
    public async Task A_line_that_is_not_understood_points_at_the_right_help(params string[] args)
    {
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, args));
        string command = string.Join(' ', args.TakeWhile(word => word[0] != '-'));
        Assert.Contains($"next: quench {command} --help", _host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_command_below_vault_has_a_help_text()
    {
        foreach (string command in (string[])["vault", "vault key", "vault key list", "vault key add", "vault key remove", "vault key passwd"])
        {
            Assert.Equal(0, await _host.RunAsync(Token, [.. command.Split(' '), "--help"]));
            Assert.Contains(HelpText.Of(command.Replace(' ', '-')).Split('\n')[^1], _host.Output.ToString(), StringComparison.Ordinal);
        }
    }

    private async Task<JsonElement[]> ListAsync()
    {
        await DoneAsync("vault", "key", "list", "--json");
        return [.. JsonDocument.Parse(_host.LastLine).RootElement.EnumerateArray()];
    }

    private async Task<string> UsedNowAsync() =>
        (await ListAsync()).Single(slot => slot.GetProperty("used_now").GetBoolean()).GetProperty("slot").GetString()!;

    private async Task DoneAsync(params string[] args)
    {
        int code = await _host.RunAsync(Token, args);
        Assert.True(code == 0, $"{string.Join(' ', args)} ended with {code}: {_host.Error}");
    }

    private async Task RefusedAsync(int exitCode, string code, params string[] args)
    {
        Assert.Equal(exitCode, await _host.RunAsync(Token, args));
        Assert.Contains($"code: {code}", _host.Error.ToString(), StringComparison.Ordinal);
    }
}
