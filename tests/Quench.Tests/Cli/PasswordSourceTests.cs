using System.IO.Pipes;
using System.Text;
using Quench.Blocks;
using Quench.Cli.Secrets;
using Xunit;

namespace Quench.Tests.Cli;

public sealed class PasswordSourceTests
{
    private readonly ScriptedHost _host = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_variable_comes_first()
    {
        _host.Variables["QUENCH_PASSWORD"] = "geheim";
        _host.Variables["QUENCH_PASSWORD_FILE"] = "/does/not/exist";
        Assert.Equal("geheim", await GetAsync());
    }

    [Theory]
    [InlineData("secret", "secret")]
    [InlineData("secret\n", "secret")]
    [InlineData("secret\r\nsecond line", "secret")]
    [InlineData(" with blanks \nx", " with blanks ")]
    public async Task Of_a_file_the_first_line_counts(string content, string password)
    {
        using TemporaryDirectory directory = new();
        File.WriteAllText(directory["password"], content);
        _host.Variables["QUENCH_PASSWORD_FILE"] = directory["password"];
        Assert.Equal(password, await GetAsync());
    }

    [Fact]
    public async Task A_command_prints_it()
    {
        _host.Variables["QUENCH_PASSWORD_COMMAND"] = "printf 'first\\nsecond\\n'; seq 1 50000";
        Assert.Equal("first", await GetAsync());
    }

    [Fact]
    public async Task A_command_that_fails_gives_none()
    {
        _host.Variables["QUENCH_PASSWORD_COMMAND"] = "echo half; exit 3";
        QuenchException refusal = await RefusedAsync();
        Assert.Contains("exit code 3", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_descriptor_is_read()
    {
        using AnonymousPipeServerStream pipe = new(PipeDirection.Out, HandleInheritability.None);
        pipe.Write("from a pipe\n"u8);
        _host.Variables["QUENCH_PASSWORD_FD"] = pipe.GetClientHandleAsString();
        Assert.Equal("from a pipe", await GetAsync());
        pipe.ClientSafePipeHandle.SetHandleAsInvalid(); // the descriptor was closed by its reader
    }

    [Theory]
    [InlineData("QUENCH_PASSWORD_FD", "nonsense")]
    [InlineData("QUENCH_PASSWORD_FD", "987654")]
    [InlineData("QUENCH_PASSWORD_FILE", "/does/not/exist")]
    [InlineData("QUENCH_PASSWORD", "")]
    public async Task What_gives_none_ends_with_12(string variable, string value)
    {
        _host.Variables[variable] = value;
        Assert.Equal(12, (await RefusedAsync()).ExitCode);
    }

    [Fact]
    public async Task A_person_is_asked_once_for_an_old_password_and_twice_for_a_new_one()
    {
        _host.Type("old", "new", "new");
        Assert.Equal("old", await GetAsync());
        Assert.Equal("new", await GetAsync(isNew: true));
        _host.Type("one", "other");
        await RefusedAsync(isNew: true);
    }

    [Fact]
    public async Task A_new_password_has_variables_of_its_own()
    {
        _host.Variables["QUENCH_PASSWORD"] = "old";
        _host.Variables["QUENCH_NEW_PASSWORD_COMMAND"] = "echo new";
        using Secret secret = await PasswordSource.GetNewAsync(_host.Host, Token);
        Assert.Equal("new"u8, secret.Bytes.Span);
        _host.Variables.Remove("QUENCH_NEW_PASSWORD_COMMAND");
        QuenchException refusal = await Assert.ThrowsAsync<QuenchException>(() => PasswordSource.GetNewAsync(_host.Host, Token));
        Assert.Contains("QUENCH_NEW_PASSWORD_FILE", refusal.Next, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_is_wiped_and_so_is_where_it_came_from()
    {
        byte[] source = Encoding.UTF8.GetBytes("secret\n");
        Secret secret = Secret.FirstLineOf(source);
        ReadOnlyMemory<byte> held = secret.Bytes;
        Assert.All(source, one => Assert.Equal(0, one));
        Assert.Equal("secret"u8, held.Span);
        secret.Dispose();
        Assert.Throws<ObjectDisposedException>(() => held.Span.Length); // its memory is wiped and gone
    }

    private async Task<string> GetAsync(bool isNew = false)
    {
        using Secret secret = await PasswordSource.GetAsync(_host.Host, isNew, Token);
        return Encoding.UTF8.GetString(secret.Bytes.Span);
    }

    private Task<QuenchException> RefusedAsync(bool isNew = false) =>
        Assert.ThrowsAsync<QuenchException>(() => PasswordSource.GetAsync(_host.Host, isNew, Token));
}
