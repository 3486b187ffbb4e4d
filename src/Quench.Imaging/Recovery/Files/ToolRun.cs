using System.ComponentModel;
using System.Diagnostics;
using Quench.Blocks;

namespace Quench.Imaging.Recovery.Files;

/// <summary>A tool of the machine at work. Disposing one that has not ended kills it.</summary>
internal sealed class ToolRun : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Task<string> _words;

    private ToolRun(Process process)
    {
        _process = process;
        _words = process.StandardError.ReadToEndAsync();
    }

    public Stream Input => _process.StandardInput.BaseStream;

    public Stream Output => _process.StandardOutput.BaseStream;

    /// <summary>Starts it. What it says it says in English.</summary>
    /// <exception cref="QuenchException">RST-136: it is not here.</exception>
    public static ToolRun Start(string name, IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new(name, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        start.Environment.Remove("TAR_OPTIONS");
        try
        {
            return new ToolRun(Process.Start(start)!);
        }
        catch (Win32Exception missing)
        {
            throw new QuenchException("RST-136", $"{name} can't be started: {missing.Message}", $"install {name}, or restore the whole volume", missing) { Effect = "nothing was touched" };
        }
    }

    /// <summary>Waits until it has ended well.</summary>
    /// <exception cref="IOException">It has not.</exception>
    public async Task EndAsync(string name, CancellationToken cancellationToken)
    {
        string words = (await _words.WaitAsync(cancellationToken)).Trim();
        await _process.WaitForExitAsync(cancellationToken);
        if (_process.ExitCode != 0)
        {
            string first = words.Length == 0 ? "it did not say why" : string.Join("; ", words.Split('\n').Take(3));
            throw new IOException($"{name} ended with exit code {_process.ExitCode}: {first}");
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        await Task.WhenAny(_words);
        _process.Dispose();
    }
}
