using Quench.Cli;
using Xunit;

namespace Quench.Tests.Cli;

public sealed class ExitCodesTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void The_numbers_that_scripts_rely_on_stay() =>
        Assert.Equal([0, 1, 2, 3, 10, 11, 12, 20, 22, 130], ExitCodes.All.Select(row => row.Code));

    [Fact]
    public async Task The_help_prints_the_whole_table()
    {
        ScriptedHost host = new();
        Assert.Equal(0, await host.RunAsync(Token, "--help"));
        Assert.All(ExitCodes.All, row => Assert.Contains($"{row.Code,3}  {row.Meaning}", host.Output.ToString(), StringComparison.Ordinal));
    }

    [Theory]
    [InlineData]
    [InlineData("frobnicate")]
    [InlineData("backup")]
    [InlineData("backup", "x", "--diff-area-size", "many")]
    [InlineData("backup", "x", "--require", "perfect")]
    [InlineData("verify", "--level", "deepest")]
    [InlineData("list")]
    public async Task A_line_that_is_not_understood_ends_with_2(params string[] args)
    {
        ScriptedHost host = new();
        Assert.Equal(ExitCodes.Usage, await host.RunAsync(Token, args));
        Assert.Equal("", host.Output.ToString());
        Assert.Contains("next:", host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_directory_that_does_not_exist_is_no_vault()
    {
        using TemporaryDirectory directory = new();
        Assert.Equal(ExitCodes.NoVault, await new ScriptedHost().RunAsync(Token, "list", "--vault", directory["none"]));
    }

    [Fact]
    public async Task No_password_ends_with_12_before_the_vault_is_looked_at()
    {
        using TemporaryDirectory directory = new();
        ScriptedHost host = new();
        Assert.Equal(ExitCodes.WrongPassword, await host.RunAsync(Token, "list", "--vault", directory.Path));
        Assert.Contains("no password was given", host.Error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("attach", "/dev/null", "--name", "x")]
    [InlineData("detach", "x")]
    public async Task Who_is_not_root_is_told_so_first(params string[] args)
    {
        ScriptedHost host = new() { IsRoot = false };
        Assert.Equal(ExitCodes.Failed, await host.RunAsync(Token, args));
        Assert.Contains("code: CLI-105", host.Error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_command_has_a_help_text()
    {
        ScriptedHost host = new();
        foreach (string command in new[] { "init", "attach", "detach", "volumes", "backup", "list", "show", "verify", "restore" })
        {
            Assert.Equal(0, await host.RunAsync(Token, command, "--help"));
            Assert.Contains(HelpText.Of(command).Split('\n')[^1], host.Output.ToString(), StringComparison.Ordinal);
        }
    }
}
