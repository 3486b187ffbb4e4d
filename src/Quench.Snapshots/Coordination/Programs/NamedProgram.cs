using System.Globalization;
using Quench.Interop.Linux;

namespace Quench.Snapshots.Coordination.Programs;

/// <summary>How a program that the user named has ended.</summary>
/// <param name="ExitCode">Null when it was killed or could not be started.</param>
/// <param name="Problem">What was wrong, as the end of a sentence that begins with the program; null when it ended with 0.</param>
/// <param name="Output">What it wrote, the first 64 KiB.</param>
public sealed record NamedProgramEnd(int? ExitCode, string? Problem, string Output);

/// <summary>Runs a program that the user named: through no shell, in a group of its own, for so long and no longer.</summary>
public static class NamedProgram
{
    /// <summary>Runs it to its end.</summary>
    /// <param name="program">From <see cref="TrustedPath.DemandProgram"/>.</param>
    /// <param name="arguments">Its words, given to it as they are.</param>
    /// <param name="variables">Its environment, beside a path and a language.</param>
    /// <param name="limit">How long it may run; then it is killed with all that it started.</param>
    /// <param name="clock">Measures that.</param>
    /// <param name="cancellationToken">Ends it early, likewise.</param>
    /// <returns>How it ended; never throws for what the program does.</returns>
    public static async Task<NamedProgramEnd> RunAsync(
        string program, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string> variables, TimeSpan limit, TimeProvider clock, CancellationToken cancellationToken)
    {
        using CancellationTokenSource inTime = new(limit, clock);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(inTime.Token, cancellationToken);
        try
        {
            await using ProgramProcess process = ProgramProcess.Start(program, arguments, variables, clock);
            process.Input.Close();
            ProgramEnd end = await process.WaitAsync(either.Token);
            string said = LastLine(end.Output);
            return end switch
            {
                { WasKilled: true } => new NamedProgramEnd(null, string.Create(CultureInfo.InvariantCulture, $"did not end within {limit.TotalSeconds:0.#} s and was killed with all that it had started{said}"), end.Output),
                { ExitCode: 0 } => new NamedProgramEnd(0, null, end.Output),
                { ExitCode: { } code } => new NamedProgramEnd(code, string.Create(CultureInfo.InvariantCulture, $"ended with exit code {code}{said}"), end.Output),
                _ => new NamedProgramEnd(null, $"was killed by a signal{said}", end.Output),
            };
        }
        catch (LinuxErrorException failure)
        {
            return new NamedProgramEnd(null, $"could not be started: {failure.Message}", "");
        }
    }

    private static string LastLine(string output)
    {
        string? last = output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
        return last is null ? "" : $"; the last it said: {PrintableText.Of(last)}";
    }
}
