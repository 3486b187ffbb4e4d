using System.Diagnostics;

namespace Quench.SystemTests.Harness;

/// <summary>What a process left behind.</summary>
internal sealed record ProcessResult(string Command, int ExitCode, string Output, string Error)
{
    /// <summary>All of it, for a failure's message.</summary>
    public override string ToString() => $"{Command}\nexit code {ExitCode}\n{Output}{Error}";
}

/// <summary>A process whose words are collected while it runs. Disposing ends it if it still does.</summary>
internal sealed class ProcessRun : IDisposable
{
    private readonly Process _process;
    private readonly string _command;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private ProcessRun(Process process, string command)
    {
        _process = process;
        _command = command;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    internal int Id => _process.Id;

    internal bool HasExited => _process.HasExited;

    /// <summary>What it said on standard output; complete when it has ended.</summary>
    internal Task<string> Output => _output;

    internal static ProcessRun Start(ProcessStartInfo start)
    {
        start.UseShellExecute = false;
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        Process process = Process.Start(start)!;
        process.StandardInput.Close();
        return new ProcessRun(process, $"{start.FileName} {string.Join(' ', start.ArgumentList)}");
    }

    /// <summary>Waits for its end.</summary>
    /// <exception cref="TimeoutException">It went on too long; it has been killed.</exception>
    internal async Task<ProcessResult> EndAsync(TimeSpan limit)
    {
        using CancellationTokenSource end = new(limit);
        try
        {
            await _process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            _process.Kill();
            throw new TimeoutException($"{_command} did not end within {limit.TotalSeconds:0} s");
        }

        return new ProcessResult(_command, _process.ExitCode, await _output, await _error);
    }

    /// <summary>Kills it at a moment from now (SIGKILL), unless it ends by itself first.</summary>
    /// <param name="moment">From now.</param>
    /// <param name="wholeTree">Also what it has started.</param>
    /// <returns>Whether it was killed.</returns>
    internal async Task<bool> KillAfterAsync(TimeSpan moment, bool wholeTree = false)
    {
        using CancellationTokenSource end = new(moment);
        try
        {
            await _process.WaitForExitAsync(end.Token);
            return false;
        }
        catch (OperationCanceledException)
        {
            _process.Kill(wholeTree);
            await _process.WaitForExitAsync();
            return true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }
}
