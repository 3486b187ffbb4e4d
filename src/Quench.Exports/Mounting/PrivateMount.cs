using System.Diagnostics;
using System.Globalization;

namespace Quench.Exports.Mounting;

/// <summary>
/// A mount that only one process has: in a mount namespace of its own, which is gone with it. The process waits at its standard input, so it goes when we go, however that happens. (unshare(1), mount(8))
/// </summary>
internal sealed class PrivateMount : IDisposable
{
    private const string Ready = "mounted";

    /// <summary>$0 the type, $1 the options, $2 the device, $3 the folder. A lazy unmount lets go even if somebody still stands in there.</summary>
    private const string Script = $"mount -n -t \"$0\" -o \"$1\" -- \"$2\" \"$3\" && echo {Ready} && cat >/dev/null; umount -n -- \"$3\" 2>/dev/null || umount -n -l -- \"$3\" 2>/dev/null";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(20);

    private readonly Process _process;

    private PrivateMount(Process process, string folder)
    {
        _process = process;
        Path = string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/root{folder}");
    }

    /// <summary>Where its files are for this process, while this is not disposed.</summary>
    public string Path { get; }

    /// <summary>Mounts.</summary>
    /// <param name="device">The device.</param>
    /// <param name="type">The file system's type.</param>
    /// <param name="options">Options, with commas.</param>
    /// <param name="folder">An existing folder; stays as it is for everybody else.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="IOException">It can't be mounted; the message says what mount(8) said.</exception>
    public static async Task<PrivateMount> MountAsync(string device, string type, string options, string folder, CancellationToken cancellationToken)
    {
        Process process = Start(["--mount", "--propagation", "private", "--", "sh", "-c", Script, type, options, device, folder]);
        try
        {
            Task<string> said = process.StandardError.ReadToEndAsync(cancellationToken);
            if (await process.StandardOutput.ReadLineAsync(cancellationToken) == Ready)
            {
                return new PrivateMount(process, folder);
            }

            string words = (await said).Trim();
            throw new IOException(words.Length > 0 ? words.ReplaceLineEndings("; ") : "mount ended without a word");
        }
        catch
        {
            End(process);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => End(_process);

    private static Process Start(IEnumerable<string> arguments)
    {
        ProcessStartInfo start = new("unshare", arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        return Process.Start(start) ?? throw new IOException("unshare did not start");
    }

    private static void End(Process process)
    {
        process.StandardInput.Dispose();
        if (!process.WaitForExit(s_patience))
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit(s_patience);
        }

        process.Dispose();
    }
}
