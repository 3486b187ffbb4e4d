using System.Diagnostics;
using Xunit;

namespace Quench.Tests.FileSystems;

/// <summary>Runs a program of the system for a test.</summary>
internal static class Tool
{
    private static readonly string[] s_folders = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

    /// <summary>Skips the running test, saying which program is missing.</summary>
    public static void Require(params string[] names)
    {
        foreach (string name in names)
        {
            Assert.SkipUnless(Find(name) is not null, $"needs {name}, which is not installed");
        }
    }

    /// <summary>Skips the running test unless it may mount.</summary>
    public static void RequireRoot() => Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, to attach a loop device and mount it");

    public static async Task<(int ExitCode, string Output, string Error)> TryRunAsync(string name, params IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(Find(name) ?? name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }

    /// <summary>Its standard output; the test fails when the program does.</summary>
    public static async Task<string> RunAsync(string name, params IEnumerable<string> arguments)
    {
        (int code, string output, string error) = await TryRunAsync(name, arguments);
        Assert.True(code == 0, $"{name} {string.Join(' ', arguments)} ended with {code}: {error}{output}");
        return output;
    }

    private static string? Find(string name) => s_folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
