using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Quench.Snapshots.Coordination.Programs;
using Quench.Snapshots.Coordination.Writers.Servers;

namespace Quench.Snapshots.Coordination.Writers.Systemd;

/// <summary>The program that speaks to the service manager: one fixed path, fixed verbs, names that were looked at; no shell, and an environment of its own. (systemctl(1))</summary>
/// <param name="program">Another one; for tests of what can't be had from the real one.</param>
internal sealed class Systemctl(string? program = null)
{
    private const string Path = "/usr/bin/systemctl";
    private const string Booted = "/run/systemd/system"; // sd_booted(3)
    private const int MostOutput = 64 * 1024;

    private static readonly TimeSpan s_endLimit = TimeSpan.FromSeconds(2);

    private readonly string _program = program ?? Path;

    /// <summary>Whether systemd runs this machine.</summary>
    internal bool IsHere => program is not null || Directory.Exists(Booted);

    /// <summary>A unit's state. A unit that nobody knows has one too: not loaded.</summary>
    /// <exception cref="ServerRefusalException">systemd says no.</exception>
    internal async Task<UnitState> ShowAsync(string unit, CancellationToken cancellationToken) =>
        UnitState.Parse(await RunAsync(["show", "--property", UnitState.Properties, "--", unit], cancellationToken));

    /// <summary>Freezes a unit's processes, and waits until they are.</summary>
    internal Task FreezeAsync(string unit, CancellationToken cancellationToken) => RunAsync(["freeze", "--", unit], cancellationToken);

    /// <summary>Thaws them. One that is not frozen stays as it is.</summary>
    internal Task ThawAsync(string unit, CancellationToken cancellationToken) => RunAsync(["thaw", "--", unit], cancellationToken);

    /// <summary>Stops a unit, and waits until it is.</summary>
    internal Task StopAsync(string unit, CancellationToken cancellationToken) => RunAsync(["stop", "--", unit], cancellationToken);

    /// <summary>Has a unit started; returns when systemd has taken the order.</summary>
    internal Task OrderStartAsync(string unit, CancellationToken cancellationToken) => RunAsync(["start", "--no-block", "--", unit], cancellationToken);

    /// <summary>Starts a unit, and waits until it runs.</summary>
    internal Task StartAsync(string unit, CancellationToken cancellationToken) => RunAsync(["start", "--", unit], cancellationToken);

    private async Task<string> RunAsync(IReadOnlyList<string> words, CancellationToken cancellationToken)
    {
        if (program is null)
        {
            TrustedPath.DemandProgram(Path);
        }

        ProcessStartInfo start = new(_program, ["--no-ask-password", "--no-pager", .. words])
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/",
        };
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
        start.Environment["LANG"] = "C.UTF-8";
        try
        {
            using Process process = Process.Start(start)!;
            return await EndAsync(process, words[0], cancellationToken);
        }
        catch (Win32Exception failure)
        {
            throw new IOException($"{_program} can't be started: {failure.Message}", failure);
        }
    }

    private static async Task<string> EndAsync(Process process, string verb, CancellationToken cancellationToken)
    {
        try
        {
            process.StandardInput.Close();
            Task<string> output = ReadAsync(process.StandardOutput, cancellationToken);
            Task<string> error = ReadAsync(process.StandardError, cancellationToken);
            await await Task.WhenAny(output, error); // when one of them says too much, the other may never end
            await Task.WhenAll(output, error);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? await output
                : throw new ServerRefusalException(
                    $"systemctl {verb}: exit code {process.ExitCode.ToString(CultureInfo.InvariantCulture)}", PrintableText.Of((await error).Trim() is { Length: > 0 } said ? said : "it did not say why"));
        }
        catch (Exception) when (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None).WaitAsync(s_endLimit, CancellationToken.None); // what it had asked for comes before what is asked for next
            throw;
        }
    }

    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellationToken)
    {
        char[] text = new char[MostOutput];
        int length = 0;
        for (int count; (count = await reader.ReadAsync(text.AsMemory(length), cancellationToken)) > 0;)
        {
            length += count;
            if (length == text.Length)
            {
                throw new ProtocolException($"systemctl said more than {MostOutput / 1024} KiB");
            }
        }

        return new string(text, 0, length);
    }
}
