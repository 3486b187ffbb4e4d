using Quench.Blocks;
using Quench.Interop.Linux;
using Quench.Snapshots.Coordination.Programs;

namespace Quench.Snapshots.Coordination.Remote;

/// <summary>The way to a writer that is a program, started for one backup and spoken to through its standard input and output.</summary>
/// <param name="path">The program.</param>
internal sealed class ProgramConnection(string path) : ILineConnection
{
    private ProgramProcess? _process;

    public string Name => path;

    public Task OpenAsync(Func<ReadOnlyMemory<byte>, bool> takes, Action<string> lost, CancellationToken cancellationToken)
    {
        try
        {
            string trusted = TrustedPath.DemandProgram(path);
            Dictionary<string, string> variables = new() { ["QUENCH_WRITER_PROTOCOL"] = "1" };
            ProgramProcess process = ProgramProcess.Start(trusted, [], variables, TimeProvider.System, takes);
            _process = process;
            _ = WatchAsync(process, lost);
            return Task.CompletedTask;
        }
        catch (QuenchException failure)
        {
            throw new WriterException(WriterError.NonRetryable, failure.Message, failure);
        }
        catch (LinuxErrorException failure)
        {
            throw new WriterException(WriterError.NonRetryable, failure.Message, failure);
        }
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        // A program that does not read fills its pipe: the write then waits on a thread of its own, and ends when the program does.
        try
        {
            await Task.Run(() => _process!.Input.Write(bytes.Span), CancellationToken.None).WaitAsync(cancellationToken);
        }
        catch (ObjectDisposedException failure)
        {
            throw new IOException(failure.Message, failure);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is { } process)
        {
            process.Input.Close(); // which tells it that it is over
            await process.DisposeAsync();
        }
    }

    private static async Task WatchAsync(ProgramProcess process, Action<string> lost)
    {
        ProgramEnd end = await process.WaitAsync(CancellationToken.None);
        string said = end.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault() is { } last ? $"; the last it said: {PrintableText.Of(last)}" : "";
        lost(end.ExitCode is { } code ? $"it ended with exit code {code}{said}" : $"it was killed{said}");
    }
}
