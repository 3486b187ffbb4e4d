using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests;

/// <summary>
/// Canaries: secrets that are found nowhere else in the world go through the real command line, and are then looked for wherever they must not be. What holds a
/// secret in an environment variable is out of our hands, so these come from files, as the documents advise.
/// </summary>
public sealed class SecretsTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly TempFolder _folder = new("secrets");
    private readonly string _password = "canary-" + RandomNumberGenerator.GetHexString(24, lowercase: true);
    private readonly string _newPassword = "kanari-" + RandomNumberGenerator.GetHexString(24, lowercase: true);

    public SecretsTests()
    {
        File.WriteAllText(_folder["password"], _password + "\n");
        File.WriteAllText(_folder["new-password"], _newPassword + "\n");
        File.WriteAllBytes(_folder["disk"], RandomNumberGenerator.GetBytes(3 << 20));
        _folder.MakeFolder("tmp");
        _folder.MakeFolder("cwd");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task No_secret_is_in_what_is_printed_or_stored()
    {
        StringBuilder printed = new();
        string firstCode = await RunAsync(printed, "init");
        await RunAsync(printed, "backup", _folder["disk"]);
        await RunAsync(printed, "list", "--json");
        await RunAsync(printed, "verify", "--json");
        await RunAsync(printed, "vault", "key", "add", "--new-key-file", _folder["key"]);
        string secondCode = await RunAsync(printed, "vault", "key", "add", "--recovery-code");
        await RunAsync(printed, "vault", "key", "passwd");
        await RunAsync(printed, "list"); // a wrong password, by now: what is said of it is looked at too
        byte[][] secrets = [.. Forms(_password), .. Forms(_newPassword), .. Forms(firstCode), .. Forms(secondCode), .. Forms(File.ReadAllBytes(_folder["key"]))];

        string words = printed.ToString();
        Assert.All(secrets, secret => Assert.True(Encoding.Latin1.GetBytes(words).AsSpan().IndexOf(secret) < 0, "a secret was printed"));
        int files = 0;
        foreach (string path in Directory.EnumerateFiles(_folder["vault"], "*", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(_folder["tmp"], "*", SearchOption.AllDirectories)))
        {
            byte[] content = File.ReadAllBytes(path);
            Assert.All(secrets, secret => Assert.True(content.AsSpan().IndexOf(secret) < 0, $"a secret is in {path}"));
            files++;
        }

        Assert.True(files > 20);
    }

    [Fact]
    public async Task While_the_vault_is_open_the_password_is_in_no_memory_no_argument_and_no_environment()
    {
        Requires.Root();
        await RunAsync(new StringBuilder(), "init");
        using ProcessRun run = StartWaiting("dotnet", [QuenchCli.ProgramPath, "vault", "key", "passwd"]);
        await Wait.UntilAsync(() => run.HasExited || File.Exists(_folder["asked"]), s_limit, "the vault is open and the new password asked for");
        Assert.False(run.HasExited);

        Assert.All(Forms(_password), secret =>
        {
            Assert.True(File.ReadAllBytes($"/proc/{run.Id}/cmdline").AsSpan().IndexOf(secret) < 0);
            Assert.True(File.ReadAllBytes($"/proc/{run.Id}/environ").AsSpan().IndexOf(secret) < 0);
        });
        (int hits, long bytes) = ProcessMemory.Count(run.Id, [.. Forms(_password)]);
        (int control, _) = ProcessMemory.Count(run.Id, Encoding.Unicode.GetBytes(_folder["vault"]));
        Assert.True(control > 0, "the search finds what is there: the vault's path");
        Assert.True(bytes > 1 << 20);
        Assert.Equal(0, hits);
        Assert.Contains(File.ReadLines($"/proc/{run.Id}/limits"), line => line.StartsWith("Max core file size", StringComparison.Ordinal) && line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4] == "0");

        await LetGoAsync();
        ProcessResult result = await run.EndAsync(s_limit);
        Assert.True(result.ExitCode == 0, result.ToString());
    }

    [Fact]
    public async Task A_process_that_holds_keys_leaves_no_core_behind_when_it_dies()
    {
        string pattern = (await File.ReadAllTextAsync("/proc/sys/kernel/core_pattern", TestContext.Current.CancellationToken)).Trim();
        Assert.SkipWhen(pattern.StartsWith('|') || pattern.Contains('/', StringComparison.Ordinal), $"cores of this machine go elsewhere: {pattern}");
        await RunAsync(new StringBuilder(), "init");

        // The control: with the same limits a program that protects nothing leaves one.
        using (ProcessRun control = StartIn("/bin/sh", ["-c", "ulimit -c unlimited; exec sleep 60"]))
        {
            await Wait.UntilAsync(() => File.ReadAllText($"/proc/{control.Id}/comm").Trim() == "sleep", s_limit, "sleep runs");
            await Tool.RunAsync("kill", "-SYS", $"{control.Id}"); // the runtime lets the first SIGABRT pass; this one it leaves to the kernel
            await control.EndAsync(s_limit);
        }

        Assert.SkipUnless(Directory.EnumerateFiles(_folder["cwd"]).Any(), "this machine writes no cores");
        foreach (string core in Directory.EnumerateFiles(_folder["cwd"]))
        {
            File.Delete(core);
        }

        using ProcessRun run = StartWaiting("/bin/sh", ["-c", $"ulimit -c unlimited; exec dotnet '{QuenchCli.ProgramPath}' vault key passwd"]);
        await Wait.UntilAsync(() => run.HasExited || File.Exists(_folder["asked"]), s_limit, "the vault is open");
        await Tool.RunAsync("kill", "-SYS", $"{run.Id}");
        await Wait.UntilAsync(() => run.HasExited, s_limit, "it has died");
        await LetGoAsync(); // the command that it had started
        Assert.Equal(128 + 31, (await run.EndAsync(s_limit)).ExitCode);
        Assert.Empty(Directory.EnumerateFiles(_folder["cwd"]));
    }

    [Fact]
    public async Task Programs_that_it_starts_do_not_inherit_a_password_from_its_environment()
    {
        QuenchCli cli = new(_folder["vault"], _password);
        await cli.RunAsync("init");
        ProcessStartInfo start = cli.StartInfo(["vault", "key", "add"]);
        start.Environment["QUENCH_NEW_PASSWORD_COMMAND"] = $"env > '{_folder["seen"]}'; echo another";
        using ProcessRun run = ProcessRun.Start(start);
        Assert.Equal(0, (await run.EndAsync(s_limit)).ExitCode);
        string seen = await File.ReadAllTextAsync(_folder["seen"], TestContext.Current.CancellationToken);
        Assert.Contains("QUENCH_VAULT=", seen, StringComparison.Ordinal);
        Assert.DoesNotContain(_password, seen, StringComparison.Ordinal);
    }

    /// <summary>A secret as it could lie about: as bytes, as a managed string, in hexadecimal and in base64.</summary>
    private static IEnumerable<byte[]> Forms(string secret) =>
        [Encoding.UTF8.GetBytes(secret), Encoding.Unicode.GetBytes(secret), .. Forms(Encoding.UTF8.GetBytes(secret)).Skip(1)];

    private static IEnumerable<byte[]> Forms(byte[] secret) =>
    [
        secret,
        Encoding.ASCII.GetBytes(Convert.ToHexStringLower(secret)),
        Encoding.ASCII.GetBytes(Convert.ToBase64String(secret)[..^4]), // its end depends on what follows
    ];

    /// <summary>Runs a command. What it prints is kept, but for the line on standard output that is a recovery code: that is what it is for.</summary>
    private async Task<string> RunAsync(StringBuilder printed, params string[] arguments)
    {
        ProcessStartInfo start = Prepare(new QuenchCli(_folder["vault"], Password: null).StartInfo(arguments));
        start.Environment["QUENCH_NEW_PASSWORD_FILE"] = _folder["new-password"];
        using ProcessRun run = ProcessRun.Start(start);
        ProcessResult result = await run.EndAsync(s_limit);
        bool showsCode = arguments[0] == "init" || arguments.Contains("--recovery-code");
        printed.Append(result.Error).Append(showsCode ? "" : result.Output);
        return result.Output.Trim();
    }

    /// <summary>Starts a change of the password that stops when the new one is asked for, the vault being open: a file says so, and a word into a pipe lets it go on.</summary>
    private ProcessRun StartWaiting(string program, string[] arguments)
    {
        ProcessStartInfo start = Prepare(new QuenchCli(_folder["vault"], Password: null).StartInfo([]));
        start.FileName = program;
        start.ArgumentList.Clear();
        Array.ForEach(arguments, start.ArgumentList.Add);
        start.Environment["QUENCH_NEW_PASSWORD_COMMAND"] = $"mkfifo '{_folder["go"]}'; exec 3<>'{_folder["go"]}'; touch '{_folder["asked"]}'; head -n 1 <&3";
        return ProcessRun.Start(start);
    }

    private Task<string> LetGoAsync() => Tool.RunAsync("/bin/sh", "-c", $"echo next 1<>'{_folder["go"]}'");

    private ProcessRun StartIn(string program, string[] arguments) => ProcessRun.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = _folder["cwd"] });

    private ProcessStartInfo Prepare(ProcessStartInfo start)
    {
        start.Environment["QUENCH_PASSWORD_FILE"] = _folder["password"];
        start.Environment["TMPDIR"] = _folder["tmp"];
        start.WorkingDirectory = _folder["cwd"];
        return start;
    }
}
