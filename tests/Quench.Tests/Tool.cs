using System.Diagnostics;

namespace Quench.Tests;

/// <summary>Runs a program and waits for it.</summary>
internal static class Tool
{
    public static async Task<(int ExitCode, string Output)> RunAsync(string name, params string[] arguments)
    {
        ProcessStartInfo start = new(Requires.FindTool(name) ?? name, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start) ?? throw new InvalidOperationException($"{name} did not start");
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        Task<string> errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output + await errors);
    }

    public static async Task<string> DemandAsync(string name, params string[] arguments)
    {
        (int code, string output) = await RunAsync(name, arguments);
        return code == 0 ? output : throw new InvalidOperationException($"{name} {string.Join(' ', arguments)} ended with {code}: {output}");
    }
}
