using System.Text.Json;
using Quench.Cli;
using Quench.Tests.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.Tests.Cli;

/// <summary>quench vault copy on two vaults in directories.</summary>
public sealed class CopyCommandTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ScriptedHost _host = new();
    private readonly byte[] _content = TestSeed.NewRandom().NextBytes(1 << 20);

    public CopyCommandTests()
    {
        File.WriteAllBytes(_directory["disk.img"], _content);
        _host.Variables["QUENCH_PASSWORD"] = "correct horse";
        _host.Variables["QUENCH_TO_PASSWORD"] = "correct horse";
        _host.Variables["QUENCH_VAULT"] = _directory["from"];
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Points_go_into_the_other_vault_once_and_come_back_equal()
    {
        await MakeVaultsAsync();
        await DoneAsync("backup", _directory["disk.img"], "--prove");
        await DoneAsync("vault", "copy", "latest", "--to", _directory["to"]);
        string copy = _host.LastLine;
        await DoneAsync("vault", "copy", "--all", "--to", _directory["to"], "--json");
        JsonElement summary = JsonDocument.Parse(_host.LastLine).RootElement;
        Assert.Equal((0, 1, 0), (summary.GetProperty("copied").GetInt32(), summary.GetProperty("were_there").GetInt32(), summary.GetProperty("damaged").GetInt32()));
        Assert.Equal(0, summary.GetProperty("read_bytes").GetInt64());

        _host.Variables["QUENCH_VAULT"] = _directory["to"];
        await DoneAsync("verify");
        await DoneAsync("restore", copy, _directory["back.img"]);
        Assert.Equal(_content, File.ReadAllBytes(_directory["back.img"]));
    }

    [Fact]
    public async Task A_host_s_points_are_copied_and_others_are_not()
    {
        await MakeVaultsAsync();
        await DoneAsync("backup", _directory["disk.img"]);
        await DoneAsync("vault", "copy", "--host", "another", "--to", _directory["to"]);
        await DoneAsync("vault", "copy", "--host", "testhost", "--to", _directory["to"], "--json");
        Assert.Equal(1, JsonDocument.Parse(_host.LastLine).RootElement.GetProperty("copied").GetInt32());
    }

    [Fact]
    public async Task What_is_to_be_copied_and_where_to_must_be_said()
    {
        await MakeVaultsAsync();
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "vault", "copy", "--to", _directory["to"]));
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "vault", "copy", "--all"));
        Assert.Equal(ExitCodes.Usage, await _host.RunAsync(Token, "vault", "copy", "latest", "--all", "--to", _directory["to"]));
        _host.Variables.Remove("QUENCH_TO_PASSWORD");
        Assert.Equal(ExitCodes.WrongPassword, await _host.RunAsync(Token, "vault", "copy", "--all", "--to", _directory["to"]));
        Assert.Contains("QUENCH_TO_PASSWORD_FILE", _host.Error.ToString(), StringComparison.Ordinal);
    }

    private async Task MakeVaultsAsync()
    {
        foreach (string name in (string[])["from", "to"])
        {
            await (await VaultLab.CreateAsync(new LocalDirectory(_directory[name]))).DisposeAsync();
        }
    }

    private async Task DoneAsync(params string[] args)
    {
        int code = await _host.RunAsync(Token, args);
        Assert.True(code == ExitCodes.Done, $"quench {string.Join(' ', args)} ended with {code}:\n{_host.Error}");
    }
}
