using System.Diagnostics;
using System.Net.Sockets;
using Quench.Snapshots.Coordination.Writers.Servers;
using Quench.SystemTests.Harness;
using Xunit;

namespace Quench.SystemTests.Writers;

/// <summary>One connection of a load: each call is one transaction, acknowledged when it returns.</summary>
internal interface ILane : IDisposable
{
    /// <summary>Adds a number, twice in one transaction: half of it would be seen.</summary>
    Task CommitAsync(int lane, long number);
}

/// <summary>
/// A database server of our own: its data in a folder of ours, its socket in another, no port, its own user where it demands one. Never the system's service. Disposing kills it.
/// </summary>
internal abstract class TestServer(string data, string run, string? user) : IAsyncDisposable
{
    internal static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private Process? _process;
    private Task<string> _words = Task.FromResult("");

    /// <summary>Its data.</summary>
    internal string Data => data;

    /// <summary>Its socket, and what else is not data.</summary>
    internal string Run => run;

    internal int ProcessId => _process!.Id;

    /// <summary>A server of the same kind over a copy of the data.</summary>
    internal abstract TestServer Over(string copy, string copyRun);

    /// <summary>Makes the data folder.</summary>
    internal abstract Task MakeAsync();

    /// <summary>Makes what the load works on.</summary>
    internal abstract Task MakeTablesAsync();

    /// <summary>Empties what the load works on.</summary>
    internal abstract Task ClearAsync();

    internal abstract Task<ILane> ConnectAsync();

    /// <summary>What its own checkers say of the files before it starts, where they can.</summary>
    internal virtual Task CheckFilesAsync() => Task.CompletedTask;

    /// <summary>What its own checkers say while it runs.</summary>
    internal virtual Task CheckAsync() => Task.CompletedTask;

    /// <summary>All numbers that are there, each demanded to be whole.</summary>
    internal abstract Task<IReadOnlyList<(int Lane, long Number)>> ReadAsync();

    protected abstract IEnumerable<string> Command { get; }

    internal async Task StartAsync()
    {
        Directory.CreateDirectory(run);
        await OwnAsync(run);
        ProcessStartInfo start = AsUser(Command);
        start.UseShellExecute = false;
        start.RedirectStandardError = true;
        start.RedirectStandardOutput = true;
        _process = Process.Start(start)!;
        _words = WordsOfAsync(_process);
        await AnswerAsync();
    }

    /// <summary>Ends it as its administrator would.</summary>
    internal async Task StopAsync()
    {
        using CancellationTokenSource end = new(Limit);
        await Tool.RunAsync("kill", "-TERM", ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture));
        await _process!.WaitForExitAsync(end.Token);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            if (!_process.HasExited)
            {
                _process.Kill(entireProcessTree: true);
            }

            await _process.WaitForExitAsync();
            await _words;
            _process.Dispose();
            _process = null;
        }
    }

    /// <summary>Runs one of its tools as its user, and demands that it succeeds.</summary>
    protected async Task<string> RunAsync(params IEnumerable<string> command)
    {
        using ProcessRun tool = ProcessRun.Start(AsUser(command));
        ProcessResult result = await tool.EndAsync(Limit);
        Assert.True(result.ExitCode == 0, result.ToString());
        return result.Output + result.Error;
    }

    protected Task OwnAsync(string folder) => user is null ? Task.CompletedTask : Tool.RunAsync("chown", $"{user}:", folder);

    private ProcessStartInfo AsUser(IEnumerable<string> command) => user is null
        ? new ProcessStartInfo(command.First(), command.Skip(1))
        : new ProcessStartInfo("setpriv", [$"--reuid={user}", $"--regid={user}", "--init-groups", "--", .. command]); // becomes the command: one process, one id

    private async Task AnswerAsync()
    {
        long since = Stopwatch.GetTimestamp();
        using PeriodicTimer look = new(TimeSpan.FromMilliseconds(20));
        while (true)
        {
            try
            {
                (await ConnectAsync()).Dispose();
                return;
            }
            catch (Exception failure) when (failure is SocketException or ServerRefusalException or IOException)
            {
                if (_process!.HasExited || Stopwatch.GetElapsedTime(since) > Limit)
                {
                    _process.Kill();
                    throw new InvalidOperationException($"the server does not answer: {failure.Message}\n{await _words}", failure);
                }
            }

            await look.WaitForNextTickAsync();
        }
    }

    private static async Task<string> WordsOfAsync(Process process)
    {
        Task<string> output = process.StandardOutput.ReadToEndAsync();
        return await process.StandardError.ReadToEndAsync() + await output;
    }
}
