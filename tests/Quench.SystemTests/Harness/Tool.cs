using System.Diagnostics;

namespace Quench.SystemTests.Harness;

/// <summary>Runs the machine's own tools.</summary>
internal static class Tool
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    /// <summary>Runs one and answers what it said, whatever its exit code.</summary>
    internal static async Task<ProcessResult> TryRunAsync(string name, params IEnumerable<string> arguments)
    {
        using ProcessRun run = ProcessRun.Start(new ProcessStartInfo(name, arguments));
        return await run.EndAsync(s_limit);
    }

    /// <summary>Runs one that must succeed.</summary>
    /// <returns>Its standard output.</returns>
    internal static async Task<string> RunAsync(string name, params IEnumerable<string> arguments)
    {
        ProcessResult result = await TryRunAsync(name, arguments);
        return result.ExitCode == 0 ? result.Output : throw new InvalidOperationException(result.ToString());
    }
}
