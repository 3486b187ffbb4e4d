using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Quench.Vault;
using Quench.Vault.Stores;
using Xunit;

namespace Quench.SystemTests.Harness;

/// <summary>Runs the command line as its users do: as a process, with a vault and a password in its environment.</summary>
/// <param name="Vault">QUENCH_VAULT; null for none.</param>
/// <param name="Password">QUENCH_PASSWORD; null for none.</param>
internal sealed record QuenchCli(string? Vault = null, string? Password = "a password for tests")
{
    private const string Self = "QUENCH_SELF";

    private static readonly KdfCost s_cheap = new(64, 1, 1);

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    /// <summary>The program: QUENCH_CLI, or the one that was built beside this assembly in the same configuration.</summary>
    internal static string ProgramPath { get; } = FindProgram();

    private static string s_helpers = ProgramPath; // what holders, workers and guards are started from; the tests of this assembly run one after the other

    /// <summary>Lets code of ours that runs inside the tests start its helper processes from the program.</summary>
    internal static void LendToThisProcess()
    {
        Environment.SetEnvironmentVariable(Self, s_helpers);
        Environment.SetEnvironmentVariable("QUENCH_STATE_DIR", TrackingState.Root);
    }

    /// <summary>Makes a vault in a folder, as <c>quench init</c> does, but for what a guess of its password costs: each of hundreds of commands would pay for it, and it is tested elsewhere.</summary>
    internal static async Task<QuenchCli> WithNewVaultAsync(string folder)
    {
        QuenchCli cli = new(folder);
        VaultSettings settings = new() { Kdf = s_cheap, Parity = ParitySettings.Default };
        CreatedVault created = await BackupVault.CreateAsync(
            new LocalDirectory(folder), settings, Encoding.UTF8.GetBytes(cli.Password!), TimeProvider.System, s_cheap, CancellationToken.None);
        created.RecoveryCode.Dispose();
        await created.Vault.DisposeAsync();
        return cli;
    }

    /// <summary>Starts a command and leaves it running.</summary>
    internal ProcessRun Start(params IEnumerable<string> arguments) => ProcessRun.Start(StartInfo(arguments));

    /// <summary>Runs a command and answers what came of it, good or bad.</summary>
    internal async Task<ProcessResult> TryRunAsync(params IEnumerable<string> arguments)
    {
        using ProcessRun run = Start(arguments);
        return await run.EndAsync(s_limit);
    }

    /// <summary>Runs a command that must succeed.</summary>
    internal async Task<ProcessResult> RunAsync(params IEnumerable<string> arguments)
    {
        ProcessResult result = await TryRunAsync(arguments);
        Assert.True(result.ExitCode == 0, result.ToString());
        return result;
    }

    /// <summary>Backs up and answers the summary that scripts rely on.</summary>
    internal async Task<JsonElement> BackupAsync(string source, params IEnumerable<string> options)
    {
        ProcessResult result = await RunAsync(["backup", source, "--json", .. options]);
        JsonElement summary = LastLine(result);
        Assert.Equal("summary", summary.GetProperty("message_type").GetString());
        return summary;
    }

    /// <summary>Runs a command that must be refused, with one exit code and one error code.</summary>
    internal async Task<ProcessResult> RefusedAsync(int exitCode, string code, params IEnumerable<string> arguments)
    {
        ProcessResult result = await TryRunAsync(arguments);
        Assert.True(result.ExitCode == exitCode, $"exit code {exitCode} was expected\n{result}");
        Assert.Contains($"code: {code}", result.Error, StringComparison.Ordinal);
        return result;
    }

    /// <summary>How many points the vault has.</summary>
    internal async Task<int> CountPointsAsync() => LastLine(await RunAsync("list", "--json")).GetArrayLength();

    /// <summary>The program with its environment; for a test that starts it in an unusual way.</summary>
    internal ProcessStartInfo StartInfo(IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new("dotnet", [ProgramPath, .. arguments]);
        foreach (string variable in start.Environment.Keys.Where(name => name.StartsWith("QUENCH_", StringComparison.Ordinal) && name is not ("QUENCH_RUN_DIR" or "QUENCH_STATE_DIR")).ToArray())
        {
            start.Environment.Remove(variable);
        }

        Set(start, "DOTNET_EnableDiagnostics", "0"); // a process that is killed would leave its pipes behind
        Set(start, "QUENCH_VAULT", Vault);
        Set(start, "QUENCH_PASSWORD", Password);
        return start;
    }

    private static void Set(ProcessStartInfo start, string variable, string? value)
    {
        if (value is not null)
        {
            start.Environment[variable] = value;
        }
    }

    private static JsonElement LastLine(ProcessResult result)
    {
        string line = result.Output.TrimEnd('\n').Split('\n')[^1];
        return JsonDocument.Parse(line).RootElement.Clone();
    }

    /// <summary>The program in the tests' own configuration, which has test points.</summary>
    internal static string ProgramWithTestPoints => BuiltBeside();

    /// <summary>Holders and workers come from the program in the tests' own configuration, which has test points, until this is disposed.</summary>
    internal static IDisposable WithTestPoints()
    {
        s_helpers = BuiltBeside();
        return new Restoring(() => s_helpers = ProgramPath);
    }

    /// <summary>From artifacts/bin/Quench.SystemTests/CONFIGURATION to artifacts/bin/Quench.Cli/CONFIGURATION.</summary>
    private static string BuiltBeside()
    {
        string here = Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory);
        return Path.GetFullPath(Path.Combine(here, "..", "..", "Quench.Cli", Path.GetFileName(here), "quench.dll"));
    }

    private static string FindProgram()
    {
        string built = BuiltBeside();
        string program = Environment.GetEnvironmentVariable("QUENCH_CLI") is { Length: > 0 } named ? Path.GetFullPath(named) : built;
        return File.Exists(program) ? program : throw new FileNotFoundException($"there is no {program}: build src/Quench.Cli, or name it with QUENCH_CLI", program);
    }

    private sealed class Restoring(Action restore) : IDisposable
    {
        public void Dispose() => restore();
    }
}
