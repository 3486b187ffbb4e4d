using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Quench.SystemTests.Harness;
using Quench.Vault;
using Quench.Vault.Format;
using Quench.Vault.Keys;
using Quench.Vault.Packs;
using Quench.Vault.Stores;
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
        byte[][] keys = [.. await KeysAsync(_newPassword)];
        Assert.True(keys.Length > 50, "the master key, the epoch's, the session's, and one for each chunk");
        byte[][] secrets =
        [
            .. Forms(_password), .. Forms(_newPassword), .. Forms(firstCode), .. Forms(secondCode), .. Forms(File.ReadAllBytes(_folder["key"])),
            .. keys.SelectMany(Forms),
        ];

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

    [Theory]
    [InlineData("password")]
    [InlineData("recovery code")]
    [InlineData("key file")]
    public async Task While_the_vault_is_open_what_opened_it_is_in_no_memory_no_argument_and_no_environment_and_its_keys_are_in_one_place(string opener)
    {
        Requires.Root();
        string code = await RunAsync(new StringBuilder(), "init");
        await RunAsync(new StringBuilder(), "vault", "key", "add", "--new-key-file", _folder["key"]);
        byte[][] keys = [.. (await KeysAsync(_password)).Take(2)];
        byte[][] secrets = opener switch
        {
            "password" => [.. Forms(_password)],
            "recovery code" => [.. Forms(code), .. Forms(BytesOf(code))],
            _ => [.. Forms(File.ReadAllBytes(_folder["key"]))],
        };
        if (opener == "recovery code")
        {
            await File.WriteAllTextAsync(_folder["password"], code + "\n", TestContext.Current.CancellationToken);
        }

        string[] openWith = opener == "key file" ? ["--key-file", _folder["key"]] : [];
        using ProcessRun run = StartWaiting("dotnet", [QuenchCli.ProgramPath, "vault", "key", "add", .. openWith]);
        await Wait.UntilAsync(() => run.HasExited || File.Exists(_folder["asked"]), s_limit, "the vault is open and the new password asked for");
        Assert.False(run.HasExited);

        Assert.All([.. secrets, .. keys.SelectMany(Forms)], secret =>
        {
            Assert.True(File.ReadAllBytes($"/proc/{run.Id}/cmdline").AsSpan().IndexOf(secret) < 0);
            Assert.True(File.ReadAllBytes($"/proc/{run.Id}/environ").AsSpan().IndexOf(secret) < 0);
        });
        (int hits, long bytes) = ProcessMemory.Count(run.Id, secrets);
        (int control, _) = ProcessMemory.Count(run.Id, Encoding.Unicode.GetBytes(_folder["vault"]));
        Assert.True(control > 0, "the search finds what is there: the vault's path");
        Assert.True(bytes > 1 << 20);
        Assert.Equal(0, hits);
        Assert.All(keys, key => Assert.Equal(1, ProcessMemory.Count(run.Id, key).Hits)); // in the locked memory that is theirs
        Assert.Equal(0, ProcessMemory.Count(run.Id, [.. keys.SelectMany(key => Forms(key).Skip(1))]).Hits);
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

    /// <summary>The keys under all that the vault holds: the master key, the epoch's, then those of the sessions, pack directories and chunks. (§3)</summary>
    private async Task<List<byte[]>> KeysAsync(string password)
    {
        CancellationToken token = TestContext.Current.CancellationToken;
        await using LocalDirectory store = new(_folder["vault"]);
        using VaultKeys keys = (await VaultOpening.OpenAsync(store, Encoding.UTF8.GetBytes(password), token)).Keys;
        byte[] ring = (await store.GetAsync(ObjectNames.Ring(1), token))!;
        List<byte[]> found = [keys.Master.ToArray(), new RingBody(keys.TryOpenEnvelope(EnvelopeKind.Ring, ObjectNames.Ring(1), ring)).Key(0).ToArray()];
        await foreach (StoredObject pack in store.ListAsync(ObjectNames.Packs, token))
        {
            Assert.True(ObjectNames.TryParseId(pack.Name, out Guid id));
            PackContents contents = (await PackReader.TryReadAsync(store, keys, id, pack.Length, token))!;
            found.Add(contents.Session.Key.ToArray());
            found.Add(Derived(contents.Session, "quench/1/directory"u8, id.ToByteArray(bigEndian: true)));
            foreach (PackEntry entry in contents.Entries)
            {
                byte[] chunk = new byte[ChunkId.Size];
                entry.Id.CopyTo(chunk);
                found.Add(Derived(contents.Session, "quench/1/chunk"u8, chunk));
            }
        }

        return found;
    }

    private static byte[] Derived(SessionKey session, ReadOnlySpan<byte> label, byte[] context)
    {
        byte[] key = new byte[32];
        Derivation.Expand(session.Key, label, context, key);
        return key;
    }

    private static byte[] BytesOf(string code)
    {
        byte[] secret = new byte[32];
        Assert.True(RecoveryCode.TryRead(Encoding.ASCII.GetBytes(code), secret));
        return secret;
    }

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

    /// <summary>Starts a change or an addition of a password that stops when the new one is asked for, the vault being open: a file says so, and a word into a pipe lets it go on.</summary>
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
